/* A stand-in for FreeRTOS, ours: as much of its API as examples/other_main/freertos uses, with tasks of static memory that
 * are switched by priority, a tick, and its hooks. It shows that the example builds and runs where the kernel isn't there. */
#ifndef INC_FREERTOS_H
#define INC_FREERTOS_H

#include <stddef.h>
#include <stdint.h>

#include "FreeRTOSConfig.h"
#include "portmacro.h"

#define configSTACK_DEPTH_TYPE uint32_t
#define pdMS_TO_TICKS(ms) ((TickType_t)((ms) * configTICK_RATE_HZ / 1000u))

typedef struct {
    StackType_t *top; /* of its stack: the first field, which port.c writes */
    TickType_t wakes; /* when, if it sleeps */
    UBaseType_t priority;
    int sleeps;
} StaticTask_t;

#endif
