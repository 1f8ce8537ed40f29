/* The cycle counter of the DWT, which a Cortex-M4 or M7 has. Armv7-M manual, chapter "Data Watchpoint and Trace unit". */
#ifndef DWT_H
#define DWT_H

#include "cortex_m.h"

#define DEMCR REG(0xE000EDFCu)
#define DEMCR_TRCENA (1u << 24)
#define DWT_CTRL REG(0xE0001000u)
#define DWT_CYCCNT REG(0xE0001004u)

static inline void start_cycles(void)
{
    DEMCR |= DEMCR_TRCENA;
    DWT_CYCCNT = 0;
    DWT_CTRL |= 1u;
}

static inline uint32_t read_cycles(void)
{
    uint32_t now;
    __asm volatile("isb\n"
                   "ldr %0, [%1]\n"
                   "isb"
                   : "=r"(now)
                   : "r"(&DWT_CYCCNT)
                   : "memory");
    return now;
}

#endif
