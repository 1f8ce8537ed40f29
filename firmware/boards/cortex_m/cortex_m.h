/* The core's own registers that every board uses, and how it sleeps. Those of the Armv7-M and Armv6-M manuals, chapter
 * "System Control Space". */
#ifndef CORTEX_M_H
#define CORTEX_M_H

#include <stdint.h>

#define REG(address) (*(volatile uint32_t *)(address))

#define NVIC_ISER(n) REG(0xE000E100u + 4u * (n))
#define NVIC_ICER(n) REG(0xE000E180u + 4u * (n))
#define NVIC_ICPR(n) REG(0xE000E280u + 4u * (n))
#define SYSTICK_CSR REG(0xE000E010u)

static inline void barrier(void)
{
    __asm volatile("dmb" ::: "memory");
}

/* Waits until all of these bits are set. Bounded, because a clock that doesn't start must not hold the agent. */
static inline void await(volatile uint32_t *place, uint32_t bits)
{
    for (uint32_t i = 0; i < 100000u && (*place & bits) != bits; ++i) {
    }
}

/* Sleeps until an interrupt is pending. With interrupts masked WFI still wakes on a pending one; in the fault handler,
 * which none has the priority to interrupt, only WFE does. */
static inline void sleep_until_interrupt(void)
{
    uint32_t exception;
    __asm volatile("mrs %0, ipsr" : "=r"(exception));
    if (exception == 0) {
        __asm volatile("dsb\nwfi" ::: "memory");
    } else {
        __asm volatile("dsb\nwfe" ::: "memory");
    }
}

/* Switches off what ran before: left enabled, it would be pending for ever, masked as it is, and keep WFI from sleeping.
 * `words` is how many registers of the NVIC have a bit for each interrupt of the chip. */
static inline void silence_interrupts(uint32_t words)
{
    for (uint32_t n = 0; n < words; ++n) {
        NVIC_ICER(n) = 0xFFFFFFFFu;
        NVIC_ICPR(n) = 0xFFFFFFFFu;
    }
}

#endif
