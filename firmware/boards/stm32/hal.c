/* The STM32, as far as its families are alike: UART, pins, second clock, random numbers, identity. DWT cycle counter, sleep by
 * WFI with interrupts masked. board.h names pins and baud rate, and the chip; what differs from family to family is in
 * its family.h:
 *
 *   CORE_HZ, NVIC_WORDS, TIM2_PRESCALER, RNG, UNIQUE_ID                 figures and addresses
 *   RESET_FLAGS, RESET_CLEAR, RESET_PIN, RESET_POWER, RESET_SOFTWARE, RESET_WATCHDOGS   why the chip was reset
 *   UART, UART_DIVIDER, UART_FIFO                                       the serial port
 *   start_chip()                                                        clocks, caches, and what the board's blocks need
 *   start_dma(), stop_dma(), dma_complete(), connect_dma()              the DMA of the serial port
 *
 * Register names and chapters are those of the reference manuals RM0351, RM0432 and RM0433. */
#include "hil_hal.h"

#include "cortex_m.h"
#include "dwt.h"
#include "hil_mailbox.h"
#include "uart.h"

/* Chapter GPIO. */
#define GPIO_MODER(port) REG((port) + 0x00u)
#define GPIO_PUPDR(port) REG((port) + 0x0Cu)
#define GPIO_BSRR(port) REG((port) + 0x18u)
#define GPIO_AFR(port, pin) REG((port) + 0x20u + (pin) / 8u * 4u) /* AFRL and AFRH */
#define MODE_OUTPUT 1u
#define MODE_ALTERNATE 2u
#define PULL_UP 1u

/* Chapter TIM2: one tick in 2048 CPU cycles. */
#define TIM2_CR1 REG(0x40000000u)
#define TIM2_EGR REG(0x40000014u)
#define TIM2_CNT REG(0x40000024u)
#define TIM2_PSC REG(0x40000028u)
#define TIM2_ARR REG(0x4000002Cu)

/* Chapter RNG. */
#define RNG_CR REG(RNG + 0x0u)
#define RNG_SR REG(RNG + 0x4u)
#define RNG_DR REG(RNG + 0x8u)
#define RNG_ENABLED (1u << 2)

/* Chapter "Device electronic signature". */
#define UID(word) REG(UNIQUE_ID + 4u * (word))

/* Boots since power-up; starts at whatever the RAM holds. */
extern uint32_t __boots;

static uint32_t reset_reason;

void sleep_until_event(void)
{
    sleep_until_interrupt();
    NVIC_ICPR(0) = UART_IRQS | 1u << DOORBELL_IRQ;
}

/* The reasons as the agent reports them. The pin's flag is set with each of the others, too: the chip drives it. */
static uint32_t reason_of(uint32_t flags)
{
    if ((flags & RESET_WATCHDOGS) != 0) {
        return 2u;
    }
    if ((flags & RESET_SOFTWARE) != 0) {
        return 4u;
    }
    return (flags & RESET_POWER) == 0 && (flags & RESET_PIN) != 0 ? 1u : 0u;
}

static void start_coarse_clock(void)
{
    TIM2_CR1 = 0;
    TIM2_PSC = TIM2_PRESCALER;
    TIM2_ARR = 0xFFFFFFFFu;
    TIM2_EGR = 1; /* takes the prescaler over */
    TIM2_CNT = 0;
    TIM2_CR1 = 1;
}

static void set_mode(uint32_t port, uint32_t pin, uint32_t mode)
{
    GPIO_MODER(port) = (GPIO_MODER(port) & ~(3u << 2u * pin)) | mode << 2u * pin;
}

static void connect(uint32_t port, uint32_t pin)
{
    const uint32_t shift = pin % 8u * 4u;
    GPIO_AFR(port, pin) = (GPIO_AFR(port, pin) & ~(15u << shift)) | AF_UART << shift;
    set_mode(port, pin, MODE_ALTERNATE);
}

static void start_uart(void)
{
    /* An open pin reads as an idle line. */
    GPIO_PUPDR(GPIO_UART) = (GPIO_PUPDR(GPIO_UART) & ~(3u << 2u * PIN_RX)) | PULL_UP << 2u * PIN_RX;
    connect(GPIO_UART, PIN_TX);
    connect(GPIO_UART, PIN_RX);
    USART_CR1 = 0;
    USART_CR1 = UART_FIFO; /* before it is enabled */
    USART_BRR = UART_DIVIDER;
    USART_CR3 = CR3_DMAR_DMAT;
    connect_dma();
    USART_CR1 = UART_FIFO | CR1_UE_RE_TE; /* 8N1, no flow control */
    NVIC_ISER(0) = UART_IRQS;
}

void hal_init(void)
{
    reset_reason = reason_of(RESET_FLAGS);
    RESET_FLAGS |= RESET_CLEAR;
    ++__boots;
    SYSTICK_CSR = 0;
    silence_interrupts(NVIC_WORDS);
    start_chip();
    GPIO_BSRR(GPIO_SYNC) = 1u << (PIN_SYNC + 16u);
    set_mode(GPIO_SYNC, PIN_SYNC, MODE_OUTPUT);
    start_cycles();
    start_coarse_clock();
    start_uart();
    hil_mailbox_open(DOORBELL_IRQ, __boots * 0x9E3779B9u);
    NVIC_ISER(0) = 1u << DOORBELL_IRQ;
}

__attribute__((noinline)) uint32_t hal_ticks(void)
{
    return read_cycles();
}

uint32_t hal_coarse_ticks(void)
{
    return TIM2_CNT;
}

uint32_t hal_counter_hz(void)
{
    return CORE_HZ;
}

uint32_t hal_nonce(void)
{
    uint32_t value = __boots * 0x9E3779B9u; /* odd, so that it alone differs for 2^32 boots */
    RNG_CR = RNG_ENABLED;
    /* Bounded, because the boot count is enough where there is no generator. */
    for (uint32_t i = 0; i < 10000u && (RNG_SR & 1u) == 0; ++i) {
    }
    value ^= RNG_DR;
    RNG_CR = 0;
    return value;
}

/* The exclusive or of all 96 bits, 64 at a time. */
uint64_t hal_chip_id(void)
{
    return ((uint64_t)UID(1) << 32) | (UID(0) ^ UID(2));
}

uint32_t hal_reset_reason(void)
{
    return reset_reason;
}

void hal_sync_pin(bool high)
{
    GPIO_BSRR(GPIO_SYNC) = high ? 1u << PIN_SYNC : 1u << (PIN_SYNC + 16u);
}
