/* Functions that a debugger calls one by one; each ends in BKPT. They do what the start-up code of others does first,
 * and use the small peripherals. Chapters are those of the nRF52840 product specification. */
#include "testfw.h"

#define POWER_RESETREAS REG(0x40000400)
#define CLOCK_LFCLKSTART REG(0x40000008) /* CLOCK */
#define CLOCK_LFCLKSTARTED REG(0x40000104)
#define TEMP 0x4000C000u
#define RTC1 0x40011000u
#define GPIOTE 0x40006000u
#define EGU0 0x40014000u
#define EGU3 0x40017000u
#define TIMER1 0x40009000u
#define PPI 0x4001F000u
#define WDT 0x40010000u
#define MWU 0x40020000u
#define P0 0x50000000u
#define FICR_TEMP 0x10000404u
#define RAM 0x20000000u
#define CODE_RAM 0x00800000u

#define ENTRY __attribute__((noinline, used)) void
/* The branch lets what the last access caused come first. */
#define DONE __asm volatile("b 1f\n1: bkpt #0")

#define RESET_REASON REG(0x20010000) /* outside .bss and stack: a reset leaves it */
#define LAST_BARKS REG(0x20010004)

volatile uint32_t result[8];
volatile uint32_t ticks, overflows, triggered, edges, barks;

/* ---- the first steps of others */

/* Nordic's errata 66: the temperature sensor gets its calibration from FICR, on the revisions that need it. */
ENTRY errata_66(void) {
    result[0] = REG(0x10000130);
    result[1] = REG(0x10000134);
    if (result[0] == 8) {
        for (uint32_t i = 0; i < 17; i++) {
            uint32_t place = i < 6 ? i : i < 12 ? i + 2 : i + 4; /* A0 to A5, B0 to B5, T0 to T4 */
            REG(TEMP + 0x520 + 4 * place) = REG(FICR_TEMP + 4 * i);
            result[2] += REG(TEMP + 0x520 + 4 * place) == REG(FICR_TEMP + 4 * i);
        }
    }
    result[3] = REG(0xF0000FE0);
    result[4] = REG(0xF0000FE4);
    result[5] = REG(0xF0000FE8);
    DONE;
}

/* A sleep routine that switches the memory watch unit off and on again (errata 75 of another chip). */
ENTRY sleep_without_watch(void) {
    uint32_t watched = REG(MWU + 0x510);
    REG(MWU + 0x518) = watched;
    __asm volatile("sev\n wfe\n wfe");
    REG(MWU + 0x514) = watched;
    result[0] = watched;
    DONE;
}

/* A tick from RTC1: TICK and OVRFLW, both as interrupts (RTC). */
ENTRY rtc_ticks(uint32_t prescaler) {
    CLOCK_LFCLKSTART = 1;
    while (!CLOCK_LFCLKSTARTED) {
    }
    REG(RTC1 + 0x508) = prescaler;
    REG(RTC1 + 0x304) = 3;
    REG(RTC1 + 0x00C) = 1; /* TRIGOVRFLW: 16 ticks before the overflow */
    NVIC_ISER0 = 1u << 17;
    REG(RTC1 + 0x000) = 1;
    while (!overflows) {
        __asm volatile("wfi");
    }
    REG(RTC1 + 0x004) = 1;
    result[0] = REG(RTC1 + 0x504);
    DONE;
}

static void rtc1_handler(void) {
    if (REG(RTC1 + 0x100)) {
        REG(RTC1 + 0x100) = 0;
        ticks++;
    }
    if (REG(RTC1 + 0x104)) {
        REG(RTC1 + 0x104) = 0;
        overflows++;
    }
    (void)REG(RTC1 + 0x104);
}

ENTRY rtc_without_clock(void) {
    REG(RTC1 + 0x000) = 1;
    for (volatile uint32_t i = 0; i < 20000; i++) {
    }
    result[0] = REG(RTC1 + 0x504);
    CLOCK_LFCLKSTART = 1;
    for (volatile uint32_t i = 0; i < 20000; i++) {
    }
    result[1] = REG(RTC1 + 0x504);
    DONE;
}

/* ---- what is modelled */

ENTRY temperature(void) {
    REG(TEMP + 0x000) = 1;
    while (!REG(TEMP + 0x100)) {
    }
    result[0] = REG(TEMP + 0x508);
    DONE;
}

ENTRY software_interrupt(void) {
    REG(EGU3 + 0x304) = 1u << 15;
    NVIC_ISER0 = 1u << 23;
    REG(EGU3 + 0x00C) = 1; /* not enabled */
    REG(EGU3 + 0x03C) = 1;
    for (uint32_t i = 0; i < 10 && !triggered; i++) {
    }
    result[0] = REG(EGU3 + 0x10C);
    DONE;
}

static void egu3_handler(void) {
    REG(EGU3 + 0x13C) = 0;
    (void)REG(EGU3 + 0x13C);
    triggered++;
}

/* EGU0.TRIGGERED[0] counts TIMER1 and, by the fork, toggles P0.13 (PPI; TIMER in counter mode; GPIOTE). */
ENTRY count_by_ppi(uint32_t times) {
    REG(GPIOTE + 0x510) = 3u | 13u << 8 | 3u << 16;
    REG(TIMER1 + 0x504) = 2;
    REG(TIMER1 + 0x508) = 3;
    REG(TIMER1 + 0x000) = 1;
    REG(PPI + 0x510) = EGU0 + 0x100;
    REG(PPI + 0x514) = TIMER1 + 0x008;
    REG(PPI + 0x910) = GPIOTE + 0x000;
    REG(PPI + 0x504) = 1;
    for (uint32_t i = 0; i < times; i++) {
        REG(EGU0 + 0x000) = 1;
        REG(EGU0 + 0x100) = 0;
    }
    REG(PPI + 0x508) = 1;
    REG(EGU0 + 0x000) = 1; /* no longer connected */
    REG(TIMER1 + 0x040) = 1;
    result[0] = REG(TIMER1 + 0x540);
    DONE;
}

/* One EGU event starts TIMER0 and TIMER1; TIMER0's compare captures TIMER1, and stops it through a group. */
ENTRY capture_by_ppi(uint32_t count) {
    REG(TIMER0 + 0x508) = 3;
    REG(TIMER0 + 0x510) = 0;
    REG(TIMER0 + 0x540) = count;
    REG(TIMER1 + 0x508) = 3;
    REG(TIMER1 + 0x510) = 0;
    REG(PPI + 0x510) = EGU0 + 0x104;
    REG(PPI + 0x514) = TIMER0 + 0x000;
    REG(PPI + 0x910) = TIMER1 + 0x000;
    REG(PPI + 0x518) = TIMER0 + 0x140;
    REG(PPI + 0x51C) = TIMER1 + 0x044;
    REG(PPI + 0x914) = PPI + 0x004; /* CHG[0].DIS */
    REG(PPI + 0x800) = 2;
    REG(PPI + 0x500) = 3;
    REG(EGU0 + 0x004) = 1;
    while (!REG(TIMER0 + 0x140)) {
    }
    result[0] = REG(TIMER1 + 0x544);
    result[1] = REG(PPI + 0x500);
    DONE;
}

/* PPI counts each byte that UARTE0 sends, although the CPU sees one event. */
ENTRY count_sent_bytes(uint32_t count) {
    REG(0x50000808) = 1u << 3; /* P1.03 idles high */
    REG(0x50000818) = 1u << 3;
    REG(UARTE + 0x50C) = 32 + 3;
    REG(UARTE + 0x500) = 8;
    REG(TIMER1 + 0x504) = 2;
    REG(TIMER1 + 0x508) = 3;
    REG(TIMER1 + 0x000) = 1;
    REG(PPI + 0x510) = UARTE + 0x11C;
    REG(PPI + 0x514) = TIMER1 + 0x008;
    REG(PPI + 0x504) = 1;
    REG(UARTE + 0x544) = (uint32_t)result;
    REG(UARTE + 0x548) = count;
    REG(UARTE + 0x008) = 1;
    while (!REG(UARTE + 0x120)) {
    }
    REG(TIMER1 + 0x040) = 1;
    result[0] = REG(TIMER1 + 0x540);
    DONE;
}

/* A pin that drives itself high and low, watched for rising edges (GPIOTE, event mode). */
ENTRY watch_a_pin(uint32_t times) {
    REG(P0 + 0x700 + 4 * 5) = 1; /* output, input buffer on */
    REG(GPIOTE + 0x514) = 1u | 5u << 8 | 1u << 16;
    REG(GPIOTE + 0x304) = 2;
    NVIC_ISER0 = 1u << 6;
    for (uint32_t i = 0; i < times; i++) {
        REG(P0 + 0x508) = 1u << 5;
        REG(P0 + 0x50C) = 1u << 5;
    }
    REG(P0 + 0x700 + 4 * 6) = 3u << 2; /* pulled up */
    REG(P0 + 0x700 + 4 * 7) = 3u << 2 | 2u; /* and its buffer off */
    result[0] = REG(P0 + 0x510);
    DONE;
}

static void gpiote_handler(void) {
    REG(GPIOTE + 0x104) = 0;
    (void)REG(GPIOTE + 0x104);
    edges++;
}

/* Feeds the watchdog for some rounds, and then no longer (WDT). */
ENTRY watchdog(uint32_t rounds) {
    REG(WDT + 0x504) = 327; /* 10 ms */
    REG(WDT + 0x508) = 3;   /* both of two requests are needed */
    REG(WDT + 0x304) = 1;
    NVIC_ISER0 = 1u << 16;
    REG(WDT + 0x000) = 1;
    REG(WDT + 0x504) = 0xFFFFFFFF; /* too late to change it */
    for (uint32_t i = 0; i < rounds; i++) {
        for (volatile uint32_t wait = 0; wait < 50000; wait++) {
        }
        REG(WDT + 0x600) = 0x6E524635;
        REG(WDT + 0x604) = 0x6E524635;
    }
    REG(WDT + 0x600) = 0x6E524635;
    for (;;) {
    }
}

static void wdt_handler(void) {
    REG(WDT + 0x100) = 0;
    (void)REG(WDT + 0x100);
    LAST_BARKS = ++barks;
}

/* Code in RAM, written through the data bus and run through code RAM; then it is overwritten. */
ENTRY run_code_ram(void) {
    static uint16_t code[2]; /* movs r0, #n; bx lr */
    uint32_t (*function)(void) = (uint32_t(*)(void))((uint32_t)code - RAM + CODE_RAM + 1);
    for (uint32_t i = 0; i < 2; i++) {
        *(volatile uint16_t *)&code[0] = (uint16_t)(0x2000 + 11 * (i + 1));
        *(volatile uint16_t *)&code[1] = 0x4770;
        __asm volatile("dsb\n isb" ::: "memory");
        result[i] = function();
    }
    result[2] = *(volatile uint16_t *)((uint32_t)code - RAM + CODE_RAM);
    DONE;
}

/* ---- single accesses */

ENTRY load(uint32_t address) {
    result[0] = REG(address);
    DONE;
}

ENTRY store(uint32_t address, uint32_t value) {
    REG(address) = value;
    DONE;
}

ENTRY wait_for(uint32_t address) {
    while (!REG(address)) {
    }
    DONE;
}

extern uint32_t stack_top[];
extern void reset_handler(void), fault_entry(void), unused_handler(void);
__attribute__((aligned(512))) static const void *const table[16 + 48] = {
    stack_top,
    reset_handler,
    [2] = unused_handler,
    [3] = fault_entry,
    [16 + 6] = gpiote_handler,
    [16 + 16] = wdt_handler,
    [16 + 17] = rtc1_handler,
    [16 + 23] = egu3_handler,
};

void test_main(void) {
    RESET_REASON = POWER_RESETREAS;
    POWER_RESETREAS = 0xFFFFFFFF;
    VTOR = (uint32_t)table;
}
