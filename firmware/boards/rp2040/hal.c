/* The RP2040 at 125 MHz: UART0 by DMA. SysTick, unwrapped by the timer, as cycle counter; sleep by WFI with interrupts masked.
 * board.h names pins and baud rate. Register names and chapters are those of the RP2040 datasheet. The second core stays in
 * the boot ROM. */
#include "hil_hal.h"

#include "board.h"
#include "cortex_m.h"
#include "hil_mailbox.h"
#include "uart.h"

/* Chapter "Atomic Register Access": aliases of every register but SIO's. */
#define SET(address) REG((address) + 0x2000u)
#define CLEAR(address) REG((address) + 0x3000u)

/* Chapter "Subsystem Resets". */
#define RESETS 0x4000C000u
#define RESETS_DONE REG(0x4000C008u)
#define RESET_DMA (1u << 2)
#define RESET_IO_BANK0 (1u << 5)
#define RESET_PADS_BANK0 (1u << 8)
#define RESET_PLL_SYS (1u << 12)
#define RESET_TIMER (1u << 21)
#define RESET_UART0 (1u << 22)

/* Chapters XOSC, PLL, Clocks: 12 MHz x 125 / 6 / 2 = 125 MHz. */
#define XOSC_CTRL REG(0x40024000u)
#define XOSC_ENABLE_12_MHZ 0x00FABAA0u
#define XOSC_STATUS REG(0x40024004u)
#define XOSC_STABLE (1u << 31)
#define XOSC_STARTUP REG(0x4002400Cu)
#define STARTUP_1_MS 47u /* x 256 cycles of 12 MHz */
#define PLL_CS REG(0x40028000u)
#define CS_LOCK (1u << 31)
#define PLL_PWR 0x40028004u
#define PWR_PD_VCOPD 0x21u
#define PWR_POSTDIVPD 0x08u
#define PLL_FBDIV_INT REG(0x40028008u)
#define PLL_PRIM REG(0x4002800Cu)
#define CLK_REF_CTRL REG(0x40008030u)
#define REF_XOSC 2u
#define CLK_REF_SELECTED REG(0x40008038u)
#define CLK_SYS_CTRL REG(0x4000803Cu)
#define SYS_PLL 1u
#define CLK_SYS_SELECTED REG(0x40008044u)
#define CLK_PERI_CTRL REG(0x40008048u)
#define PERI_ENABLE_SYS (1u << 11)
#define CLK_RESUS_CTRL REG(0x40008078u)

/* Chapter Watchdog: its tick of 1 us is the timer's, its scratch registers survive every reset but power-on and RUN. */
#define WATCHDOG_REASON REG(0x40058008u)
#define WATCHDOG_RAN REG(0x4005800Cu) /* SCRATCH0: whether this firmware ran before */
#define RAN 0x48494C31u
#define WATCHDOG_BOOTS REG(0x40058010u) /* SCRATCH1 */
#define WATCHDOG_TICK REG(0x4005802Cu)
#define TICK_12 (1u << 9 | 12u)

/* Chapter "Chip-Level Reset". */
#define CHIP_RESET REG(0x40064008u)
#define HAD_RUN (1u << 16)

/* Chapter Timer. */
#define TIMERAWH REG(0x40054024u)
#define TIMERAWL REG(0x40054028u)

/* Chapter ROSC. */
#define ROSC_RANDOMBIT REG(0x4006001Cu)

/* Chapter GPIO. */
#define GPIO_CTRL(pin) REG(0x40014004u + 8u * (pin))
#define FUNCTION_UART 2u
#define FUNCTION_SIO 5u
#define PAD(pin) REG(0x4001C004u + 4u * (pin))
#define PAD_INPUT_PULLED_UP 0x5Au /* IE, 4 mA, PUE, SCHMITT */
#define SIO_OUT_SET REG(0xD0000014u)
#define SIO_OUT_CLR REG(0xD0000018u)
#define SIO_OE_SET REG(0xD0000024u)

#define SYSTICK_CORE_CLOCK_ON 5u
#define SYSTICK_RVR REG(0xE000E014u)
#define SYSTICK_CVR REG(0xE000E018u)
#define SYSTICK_MAX 0x00FFFFFFu

#define CORE_HZ 125000000u
#define CYCLES_PER_US 125u
#define DIVISOR_64 ((4u * CORE_HZ + BAUD / 2u) / BAUD) /* of 16 x BAUD, in 64ths */

static uint32_t reset_reason;
static uint32_t since_us; /* what the timer said when SysTick began to count */

/* SysTick may stand still in sleep, the timer doesn't: from here on they go together again. */
static void start_counting(void)
{
    SYSTICK_CVR = 0;
    since_us = TIMERAWL;
}

void sleep_until_event(void)
{
    sleep_until_interrupt();
    start_counting();
    NVIC_ICPR(0) = UART_IRQS | 1u << DOORBELL_IRQ;
}

/* The reasons as the agent reports them. A reset by the debugger or by software reaches the core alone, and nothing notes it:
 * but the scratch register survives it. */
static uint32_t find_reason(void)
{
    const bool ran = WATCHDOG_RAN == RAN;
    WATCHDOG_RAN = RAN;
    if ((WATCHDOG_REASON & 3u) != 0) {
        return 2u;
    }
    if (ran) {
        return 4u;
    }
    return (CHIP_RESET & HAD_RUN) != 0 ? 1u : 0u;
}

/* Takes blocks out of reset, through it: whoever ran before may have left them running. */
static void restart(uint32_t blocks)
{
    SET(RESETS) = blocks;
    CLEAR(RESETS) = blocks;
    await(&RESETS_DONE, blocks);
}

static void start_clocks(void)
{
    CLK_RESUS_CTRL = 0;
    CLK_SYS_CTRL = 0; /* clk_ref, before the PLL stops */
    await(&CLK_SYS_SELECTED, 1u);
    XOSC_STARTUP = STARTUP_1_MS;
    XOSC_CTRL = XOSC_ENABLE_12_MHZ;
    await(&XOSC_STATUS, XOSC_STABLE);
    CLK_REF_CTRL = REF_XOSC;
    await(&CLK_REF_SELECTED, 1u << REF_XOSC);
    restart(RESET_PLL_SYS);
    PLL_CS = 1; /* not divided */
    PLL_FBDIV_INT = 125;
    CLEAR(PLL_PWR) = PWR_PD_VCOPD;
    await(&PLL_CS, CS_LOCK);
    PLL_PRIM = 6u << 16 | 2u << 12;
    CLEAR(PLL_PWR) = PWR_POSTDIVPD;
    CLK_SYS_CTRL = SYS_PLL;
    await(&CLK_SYS_SELECTED, 1u << SYS_PLL);
    CLK_PERI_CTRL = PERI_ENABLE_SYS;
    WATCHDOG_TICK = TICK_12;
}

static void start_uart(void)
{
    PAD(PIN_RX) = PAD_INPUT_PULLED_UP; /* an open pin reads as an idle line */
    GPIO_CTRL(PIN_TX) = FUNCTION_UART;
    GPIO_CTRL(PIN_RX) = FUNCTION_UART;
    UART_IBRD = DIVISOR_64 >> 6;
    UART_FBRD = DIVISOR_64 & 63u;
    UART_LCR_H = LCR_8N1_FIFO;
    UART_DMACR = DMACR_RX_TX;
    UART_CR = CR_RXE_TXE_EN; /* no flow control */
    DMA_INTE0 = 1u << SEND | 1u << RECEIVE;
    NVIC_ISER(0) = UART_IRQS;
}

void hal_init(void)
{
    SYSTICK_CSR = 0;
    silence_interrupts(1);
    reset_reason = find_reason();
    ++WATCHDOG_BOOTS;
    start_clocks();
    restart(RESET_DMA | RESET_IO_BANK0 | RESET_PADS_BANK0 | RESET_TIMER | RESET_UART0);
    SIO_OUT_CLR = 1u << PIN_SYNC;
    SIO_OE_SET = 1u << PIN_SYNC;
    GPIO_CTRL(PIN_SYNC) = FUNCTION_SIO;
    SYSTICK_RVR = SYSTICK_MAX;
    SYSTICK_CSR = SYSTICK_CORE_CLOCK_ON;
    start_counting();
    start_uart();
    hil_mailbox_open(DOORBELL_IRQ, hal_nonce());
    NVIC_ISER(0) = 1u << DOORBELL_IRQ;
}

/* SysTick has 24 bits of the count of cycles, which go round in 134 ms; the timer tells the others, for both go by the same
 * crystal. Across a sleep the count is right to a microsecond. */
__attribute__((noinline)) uint32_t hal_ticks(void)
{
    uint32_t us, left;
    __asm volatile("isb\n"
                   "ldr %0, [%2]\n"
                   "ldr %1, [%3]\n"
                   "isb"
                   : "=&l"(us), "=&l"(left)
                   : "l"(&TIMERAWL), "l"(&SYSTICK_CVR)
                   : "memory");
    const uint32_t about = (us - since_us) * CYCLES_PER_US;
    const int32_t off = (int32_t)((SYSTICK_MAX - left - about) << 8) >> 8;
    return since_us * CYCLES_PER_US + about + (uint32_t)off;
}

/* Microseconds x 125 / 2048: one tick in 2048 CPU cycles. */
uint32_t hal_coarse_ticks(void)
{
    uint32_t high = TIMERAWH;
    for (;;) {
        const uint32_t low = TIMERAWL;
        const uint32_t again = TIMERAWH;
        if (again == high) {
            return (uint32_t)(((uint64_t)high << 32 | low) * CYCLES_PER_US >> 11);
        }
        high = again;
    }
}

uint32_t hal_counter_hz(void)
{
    return CORE_HZ;
}

/* The bits are those of a ring oscillator, not evenly spread; the boot count is enough where they don't differ. */
uint32_t hal_nonce(void)
{
    uint32_t value = 0;
    for (uint32_t i = 0; i < 32u; ++i) {
        value = value << 1 | (ROSC_RANDOMBIT & 1u);
    }
    return value ^ WATCHDOG_BOOTS * 0x9E3779B9u; /* odd, so that it alone differs for 2^32 boots */
}

/* The chip has no number of its own. That of the flash chip takes a command that can't be sent while code runs from there. */
uint64_t hal_chip_id(void)
{
    return 0;
}

uint32_t hal_reset_reason(void)
{
    return reset_reason;
}

void hal_sync_pin(bool high)
{
    if (high) {
        SIO_OUT_SET = 1u << PIN_SYNC;
    } else {
        SIO_OUT_CLR = 1u << PIN_SYNC;
    }
}
