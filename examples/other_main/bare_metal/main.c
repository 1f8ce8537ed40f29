/* A project with a main() of its own, and the agent in its loop. TICK_HZ is how often SysTick interrupts; 0: never. */
#include <stdint.h>

#include "board.h"
#include "hil_program.h"

#define SYST_CSR (*(volatile uint32_t *)0xE000E010u)
#define SYST_RVR (*(volatile uint32_t *)0xE000E014u)
#define SYST_CVR (*(volatile uint32_t *)0xE000E018u)
#define CLOCK_HZ 64000000u

extern uint32_t main_stack_bottom[], main_stack_top[];

static volatile uint32_t interrupts;
volatile uint32_t turns; /* of the loop: what the project does besides */

void SysTick_Handler(void);

void SysTick_Handler(void)
{
    ++interrupts;
}

static uint32_t count_interrupts(void)
{
    return interrupts;
}

int main(void)
{
    static struct hil_program program = {
        .read = board_read,
        .write = board_write,
        .milliseconds = board_milliseconds,
        .counter_hz = CLOCK_HZ,
        .interrupts = count_interrupts,
        .sync_pin = board_pin,
        .stack = main_stack_bottom,
    };
    board_init();
#if TICK_HZ
    SYST_RVR = CLOCK_HZ / TICK_HZ - 1u;
    SYST_CVR = 0;
    SYST_CSR = 7; /* processor clock, interrupt, on */
#endif
    program.stack_bytes = (uint32_t)((uintptr_t)main_stack_top - (uintptr_t)main_stack_bottom);
    program.chip_id = board_chip_id();
    program.reset_reason = board_reset_reason();
    hil_program_begin(&program);
    for (;;) {
        hil_agent_poll();
        ++turns;
    }
}
