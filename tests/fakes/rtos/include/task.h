#ifndef INC_TASK_H
#define INC_TASK_H

#include "FreeRTOS.h"

typedef StaticTask_t *TaskHandle_t;
typedef void (*TaskFunction_t)(void *argument);

#define taskDISABLE_INTERRUPTS() portDISABLE_INTERRUPTS()

TaskHandle_t xTaskCreateStatic(TaskFunction_t code, const char *name, uint32_t words, void *argument,
                               UBaseType_t priority, StackType_t *stack, StaticTask_t *task);
void vTaskStartScheduler(void);
void vTaskDelay(TickType_t ticks);

/* Between tasks.c and port.c. */
extern StaticTask_t *volatile pxCurrentTCB;
void vTaskSwitchContext(void);
int xTaskIncrementTick(void);
StackType_t *pxPortInitialiseStack(StackType_t *top, TaskFunction_t code, void *argument);
void xPortStartScheduler(void);

/* The application's. */
void vApplicationTickHook(void);
void vApplicationGetIdleTaskMemory(StaticTask_t **task, StackType_t **stack, configSTACK_DEPTH_TYPE *words);

#endif
