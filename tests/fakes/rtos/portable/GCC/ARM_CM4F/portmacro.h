#ifndef PORTMACRO_H
#define PORTMACRO_H

#include <stdint.h>

typedef uint32_t StackType_t;
typedef uint32_t TickType_t;
typedef unsigned long UBaseType_t;

#define ICSR (*(volatile uint32_t *)0xE000ED04u)
#define ICSR_PENDSVSET (1u << 28)
#define portYIELD() \
    do { \
        ICSR = ICSR_PENDSVSET; \
        __asm volatile("dsb\nisb" ::: "memory"); \
    } while (0)

/* BASEPRI keeps PendSV and SysTick away, which have the lowest priority. */
#define portSET_BASEPRI(value) __asm volatile("msr basepri, %0\ndsb\nisb" ::"r"(value) : "memory")
#define portDISABLE_INTERRUPTS() portSET_BASEPRI(configMAX_SYSCALL_INTERRUPT_PRIORITY)
#define portENABLE_INTERRUPTS() portSET_BASEPRI(0u)

#endif
