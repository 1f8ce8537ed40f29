/* What a board provides to the agent (hil_hal.h), by what a program provides. For cores with the cycle counter of DWT. */
#include "hil_program.h"

#include <stddef.h>

#include "agent.h"
#include "hil_hal.h"
#include "hil_memory.h"

#if !defined(__ARM_ARCH) || __ARM_ARCH < 7 || __ARM_ARCH_PROFILE != 'M'
#error "the agent counts by DWT CYCCNT, which a Cortex-M has from the M3 on; this core has none"
#endif
#ifndef HIL_PROGRAM
#error "compile the agent and this with -DHIL_PROGRAM: the agent's own main() is left out by that"
#endif

/* Armv7-M Architecture Reference Manual, C1.6.5 and C1.8. */
#define REG(address) (*(volatile uint32_t *)(address))
#define DEMCR REG(0xE000EDFCu)
#define DEMCR_TRCENA (1u << 24)
#define DWT_CTRL REG(0xE0001000u)
#define DWT_CTRL_CYCCNTENA 1u
#define DWT_CTRL_NOCYCCNT (1u << 25)
#define DWT_CYCCNT REG(0xE0001004u)

#define COARSE_TICK 2048u /* ticks of the counter: 2^32 of them are HAL_COARSE_TICKS_PER_WRAP */
#define CHECKED_MS 20u
#define LONGEST_MS 50u /* in which a clock of milliseconds must have gone on */

/* Operating systems know an overflow by a pattern at the end of a stack. */
#define STACK_END 32u

/* Boots since power-up; starts at whatever the RAM holds. */
__attribute__((section(".noinit"))) static uint32_t boots;

static const struct hil_program *program;
static int problem;

static uint8_t *place;
static uint32_t missing;

static uint32_t *stack_bottom, *stack_top; /* NULL: not told, or left */
static uint32_t interrupts, before;
static bool were_masked, uncounted;

/* ---- link */

bool hal_rx_ready(void)
{
    const uint32_t *here = __builtin_frame_address(0);
    if (here <= stack_bottom || here >= stack_top) {
        stack_bottom = stack_top = NULL;
    }
    if (missing != 0) {
        const uint32_t bytes = program->read(place, missing);
        place += bytes;
        missing -= bytes;
    }
    return missing == 0;
}

void hal_rx_arm(void *buffer, uint32_t bytes)
{
    place = buffer;
    missing = bytes;
    (void)hal_rx_ready(); /* a driver with DMA begins */
}

bool hal_rx_wait(void)
{
    return true;
}

void hal_tx(const void *buffer, uint32_t bytes)
{
    program->write(buffer, bytes);
}

void hal_idle(void)
{
}

uint32_t hal_rx_errors(void)
{
    return 0;
}

/* ---- counter and clock */

__attribute__((noinline)) uint32_t hal_ticks(void)
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

uint32_t hal_counter_hz(void)
{
    return program->counter_hz;
}

/* A thousandth faster than the clock, whose milliseconds are coarse, so that it is never late to say that the counter may
 * have come round. */
uint32_t hal_coarse_ticks(void)
{
    const uint64_t ticks = (uint64_t)program->milliseconds() * (program->counter_hz / 1000u) / COARSE_TICK;
    return (uint32_t)(ticks + ticks / 1000u);
}

/* Some ten microseconds: a clock may be slow to read. */
static void pause(void)
{
    for (uint32_t i = 0; i < 500u; ++i) {
        __asm volatile("nop");
    }
}

/* Waits until the clock goes on; false if it doesn't. */
static bool next_millisecond(uint32_t *now)
{
    const uint32_t start = DWT_CYCCNT;
    const uint32_t last = program->milliseconds();
    while ((*now = program->milliseconds()) == last) {
        pause();
        if (DWT_CYCCNT - start > program->counter_hz / 1000u * LONGEST_MS) {
            return false;
        }
    }
    return true;
}

static int clock_problem(void)
{
    uint32_t from, to;
    if (!next_millisecond(&from)) {
        return HIL_CLOCK_DIFFERS;
    }
    const uint32_t start = DWT_CYCCNT;
    do {
        if (!next_millisecond(&to)) {
            return HIL_CLOCK_DIFFERS;
        }
    } while (to - from < CHECKED_MS);
    const uint64_t ticks = (uint64_t)(DWT_CYCCNT - start) * 1000u;
    const uint64_t expected = (uint64_t)(to - from) * program->counter_hz;
    return ticks * 20u < expected * 19u || ticks * 20u > expected * 21u ? HIL_CLOCK_DIFFERS : 0;
}

static bool counter_runs(void)
{
    DEMCR |= DEMCR_TRCENA;
    if ((DWT_CTRL & DWT_CTRL_NOCYCCNT) != 0) {
        return false;
    }
    DWT_CTRL |= DWT_CTRL_CYCCNTENA;
    const uint32_t start = hal_ticks();
    for (uint32_t i = 0; i < 100u; ++i) {
        if (hal_ticks() != start) {
            return true;
        }
    }
    return false;
}

/* ---- interrupts */

static bool masked(void)
{
    uint32_t primask;
    __asm volatile("mrs %0, primask" : "=r"(primask)::"memory");
    return (primask & 1u) != 0;
}

static void hold(void)
{
    if (program->hold != NULL) {
        program->hold();
    }
}

static void release(void)
{
    if (program->release != NULL) {
        program->release();
    }
}

void hal_before_inference(void)
{
    hold();
    were_masked = masked();
    if (program->interrupts != NULL) {
        before = program->interrupts();
    }
}

void hal_after_inference(void)
{
    if (program->interrupts != NULL) {
        interrupts += program->interrupts() - before;
    } else if (!were_masked || !masked()) {
        uncounted = true;
    }
    release();
}

uint32_t hal_interrupts(void)
{
    return uncounted ? HAL_NOT_COUNTED : interrupts;
}

/* ---- stack: all but its end, and nothing above it; there is no heap that the agent knows of */

static __attribute__((noinline)) void paint(void)
{
    const uint32_t *end = __builtin_frame_address(0);
    for (volatile uint32_t *p = stack_bottom; p < end - 8; ++p) {
        *p = HIL_PAINT;
    }
}

static int stack_problem(void)
{
    const uint32_t *here = __builtin_frame_address(0);
    if (program->stack == NULL) {
        return 0;
    }
    uint8_t *const bottom = program->stack;
    if (((uintptr_t)bottom | program->stack_bytes) % sizeof(uint32_t) != 0 || program->stack_bytes <= STACK_END) {
        return HIL_OTHER_STACK;
    }
    stack_bottom = (uint32_t *)(void *)(bottom + STACK_END);
    stack_top = (uint32_t *)(void *)(bottom + program->stack_bytes);
    if (here <= stack_bottom || here >= stack_top) {
        return HIL_OTHER_STACK;
    }
    paint();
    return 0;
}

uint32_t hil_stack_bytes(void)
{
    return (uint32_t)(stack_top - stack_bottom) * sizeof(uint32_t);
}

uint32_t hil_stack_used(void)
{
    const uint32_t *p = stack_bottom;
    while (p < stack_top && *p == HIL_PAINT) {
        ++p;
    }
    return (uint32_t)(stack_top - p) * sizeof(uint32_t);
}

uint32_t hil_heap_bytes(void)
{
    return 0;
}

uint32_t hil_heap_used(void)
{
    return 0;
}

/* ---- the rest */

void hal_init(void)
{
    ++boots;
    problem = counter_runs() ? clock_problem() : HIL_COUNTER_STANDS;
    if (problem == 0) {
        uint32_t now;
        hold();
        problem = masked() && !next_millisecond(&now) ? HIL_CLOCK_HELD : 0;
        release();
    }
    if (problem == 0) {
        problem = stack_problem();
    }
}

int hal_problem(void)
{
    return problem;
}

uint32_t hal_nonce(void)
{
    return program->nonce + boots * 0x9E3779B9u; /* odd, so that it alone differs for 2^32 boots */
}

uint64_t hal_chip_id(void)
{
    return program->chip_id;
}

uint32_t hal_reset_reason(void)
{
    return program->reset_reason;
}

void hal_sync_pin(bool high)
{
    if (program->sync_pin != NULL) {
        program->sync_pin(high);
    }
}

void hil_program_begin(const struct hil_program *of)
{
    program = of;
    hil_agent_init();
}
