/* The STM32L4 and L4+: a UART by DMA, and a debug probe: it answers where it was spoken to last. DWT cycle counter, sleep by
 * WFI with interrupts masked. board.h names pins and baud rate, and includes what differs from chip to chip. Register names
 * and chapters are those of the reference manuals RM0351 and RM0432. */
#include "hil_hal.h"

#include <string.h>

#include "board.h"
#include "hil_mailbox.h"

/* Chapter FLASH: wait states, prefetch and caches. */
#define FLASH_ACR REG(0x40022000u)
#define ACR_LATENCY 15u
#define ACR_PREFETCH_AND_CACHES (7u << 8)

/* Chapter RCC. */
#define RCC_CR REG(0x40021000u)
#define CR_MSIRDY (1u << 1)
#define CR_MSI_48M (11u << 4 | 1u << 3) /* MSIRANGE, and MSIRGSEL: it counts */
#define CR_MSIRANGE (15u << 4)
#define CR_HSION (1u << 8)
#define CR_HSIRDY (1u << 10)
#define CR_PLLON (1u << 24)
#define CR_PLLRDY (1u << 25)
#define RCC_CFGR REG(0x40021008u)
#define CFGR_SW_PLL 3u
#define CFGR_HPRE_2 (8u << 4)
#define CFGR_SWS_PLL (3u << 2)
#define RCC_PLLCFGR REG(0x4002100Cu)
#define RCC_AHB1ENR REG(0x40021048u)
#define RCC_AHB2ENR REG(0x4002104Cu)
#define AHB2ENR_RNG (1u << 18)
#define RCC_CCIPR REG(0x40021088u)
#define CCIPR_CLK48_MSI (3u << 26)
#define RCC_CSR REG(0x40021094u)
#define CSR_RMVF (1u << 23)
#define CSR_PIN (1u << 26)
#define CSR_BROWNOUT (1u << 27)
#define CSR_SOFTWARE (1u << 28)
#define CSR_WATCHDOGS (3u << 29)

/* Chapter GPIO. */
#define GPIO_MODER(port) REG((port) + 0x00u)
#define GPIO_PUPDR(port) REG((port) + 0x0Cu)
#define GPIO_BSRR(port) REG((port) + 0x18u)
#define GPIO_AFR(port, pin) REG((port) + 0x20u + (pin) / 8u * 4u) /* AFRL and AFRH */
#define MODE_OUTPUT 1u
#define MODE_ALTERNATE 2u
#define PULL_UP 1u

/* Chapters USART and LPUART. */
#define USART_CR1 REG(UART + 0x00u)
#define CR1_UE_RE_TE 0xDu
#define USART_CR3 REG(UART + 0x08u)
#define CR3_DMAR_DMAT (3u << 6)
#define USART_BRR REG(UART + 0x0Cu)
#define USART_ISR REG(UART + 0x1Cu)
#define ISR_PE_FE_NF_ORE 0xFu
#define USART_ICR REG(UART + 0x20u)
#define USART_RDR (UART + 0x24u)
#define USART_TDR (UART + 0x28u)

/* Chapter DMA: channel 4 sends and channel 5 receives. */
#define DMA_ISR REG(0x40020000u)
#define DMA_IFCR REG(0x40020004u)
#define DMA_CCR(channel) REG(0x40020008u + 20u * ((channel) - 1u))
#define DMA_CNDTR(channel) REG(0x4002000Cu + 20u * ((channel) - 1u))
#define DMA_CPAR(channel) REG(0x40020010u + 20u * ((channel) - 1u))
#define DMA_CMAR(channel) REG(0x40020014u + 20u * ((channel) - 1u))
#define CCR_EN 1u
#define CCR_TCIE (1u << 1)
#define CCR_FROM_MEMORY (1u << 4)
#define CCR_MINC (1u << 7)
#define FLAGS(channel) (0xFu << (4u * ((channel) - 1u)))
#define COMPLETE(channel) (2u << (4u * ((channel) - 1u)))
#define SEND 4u
#define RECEIVE 5u
#define DMA_IRQS (3u << 14) /* channels 4 and 5 are interrupts 14 and 15 */
#define DOORBELL_IRQ 6u     /* EXTI0, which nothing else uses */

/* Chapter TIM2: one tick in 2048 CPU cycles. */
#define TIM2_CR1 REG(0x40000000u)
#define TIM2_EGR REG(0x40000014u)
#define TIM2_CNT REG(0x40000024u)
#define TIM2_PSC REG(0x40000028u)
#define TIM2_ARR REG(0x4000002Cu)

/* Chapter RNG. */
#define RNG_CR REG(0x50060800u)
#define RNG_SR REG(0x50060804u)
#define RNG_DR REG(0x50060808u)
#define RNG_ENABLED (1u << 2)

/* Chapter "Device electronic signature". */
#define UID(word) REG(0x1FFF7590u + 4u * (word))

#define NVIC_ISER0 REG(0xE000E100u)
#define NVIC_ICER(n) REG(0xE000E180u + 4u * (n))
#define NVIC_ICPR(n) REG(0xE000E280u + 4u * (n))
#define SYSTICK_CSR REG(0xE000E010u)
#define DEMCR REG(0xE000EDFCu)
#define DEMCR_TRCENA (1u << 24)
#define DWT_CTRL REG(0xE0001000u)
#define DWT_CYCCNT REG(0xE0001004u)

/* Boots since power-up; starts at whatever the RAM holds. */
extern uint32_t __boots;

/* Where the last bytes came from, and where answers go. */
static enum line { BY_UART, BY_PROBE } spoken;

/* While the probe is spoken, what the UART receives goes here; when it is full, somebody speaks over the UART. */
#define HEADER_BYTES 16u
__attribute__((section(".dma"), aligned(4))) static uint8_t aside[HEADER_BYTES + HAL_RX_GUARD];

/* The header with which somebody began to speak over another line, until the agent waits for one; else NULL. */
static const uint8_t *held;

static uint32_t rx_errors;
static uint32_t reset_reason;

static void barrier(void)
{
    __asm volatile("dmb" ::: "memory");
}

/* Waits until all of these bits are set. Bounded, because a clock that doesn't start must not hold the agent. */
static void await(volatile uint32_t *place, uint32_t bits)
{
    for (uint32_t i = 0; i < 100000u && (*place & bits) != bits; ++i) {
    }
}

static bool complete(uint32_t channel)
{
    return (DMA_ISR & COMPLETE(channel)) != 0;
}

/* Sleeps until a transfer is complete, or the doorbell. With interrupts masked WFI still wakes on a pending one; in the
 * fault handler, which none has the priority to interrupt, only WFE does. */
static void sleep_until_event(void)
{
    uint32_t exception;
    __asm volatile("mrs %0, ipsr" : "=r"(exception));
    if (exception == 0) {
        __asm volatile("dsb\nwfi" ::: "memory");
    } else {
        __asm volatile("dsb\nwfe" ::: "memory");
    }
    NVIC_ICPR(0) = DMA_IRQS | 1u << DOORBELL_IRQ;
}

/* What a bootloader has left enabled would be pending for ever, masked as it is, and keep WFI from sleeping. */
static void silence_bootloader(void)
{
    SYSTICK_CSR = 0;
    for (uint32_t n = 0; n < 3; ++n) {
        NVIC_ICER(n) = 0xFFFFFFFFu;
        NVIC_ICPR(n) = 0xFFFFFFFFu;
    }
}

/* The reasons as the agent reports them. The pin's flag is set with each of the others, too: the chip drives it. */
static uint32_t reason_of(uint32_t flags)
{
    if ((flags & CSR_WATCHDOGS) != 0) {
        return 2u;
    }
    if ((flags & CSR_SOFTWARE) != 0) {
        return 4u;
    }
    return (flags & CSR_BROWNOUT) == 0 && (flags & CSR_PIN) != 0 ? 1u : 0u;
}

static void start_clocks(void)
{
    mcu_raise_voltage();
    FLASH_ACR = ACR_PREFETCH_AND_CACHES | WAIT_STATES;
    for (uint32_t i = 0; i < 1000u && (FLASH_ACR & ACR_LATENCY) != WAIT_STATES; ++i) {
    }
    RCC_CR |= CR_HSION;
    await(&RCC_CR, CR_HSIRDY);
    RCC_PLLCFGR = PLL_TO_CORE_HZ;
    RCC_CR |= CR_PLLON;
    await(&RCC_CR, CR_PLLRDY);
#ifdef BY_HALF
    RCC_CFGR = CFGR_SW_PLL | CFGR_HPRE_2;
    await(&RCC_CFGR, CFGR_SWS_PLL);
    for (volatile uint32_t i = 0; i < 60u; ++i) { /* at least 1 us, which is 60 cycles */
    }
#endif
    RCC_CFGR = CFGR_SW_PLL; /* all buses undivided */
    await(&RCC_CFGR, CFGR_SWS_PLL);
    await(&RCC_CR, CR_MSIRDY);
    RCC_CR = (RCC_CR & ~CR_MSIRANGE) | CR_MSI_48M; /* for the random numbers */
    RCC_CCIPR = CCIPR_CLK48_MSI;
    RCC_AHB1ENR |= AHB1ENR_DMA;
    RCC_AHB2ENR |= AHB2ENR_PORTS | AHB2ENR_RNG;
    RCC_APB1ENR1 |= APB1ENR1_TIM2;
    RCC_UART_ENR |= UART_ENABLE;
    (void)RCC_UART_ENR; /* a clock runs two cycles after it is enabled */
}

static void start_coarse_clock(void)
{
    TIM2_CR1 = 0;
    TIM2_PSC = 2047;
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
    mcu_supply_pins();
    /* An open pin reads as an idle line. */
    GPIO_PUPDR(GPIO_UART) = (GPIO_PUPDR(GPIO_UART) & ~(3u << 2u * PIN_RX)) | PULL_UP << 2u * PIN_RX;
    connect(GPIO_UART, PIN_TX);
    connect(GPIO_UART, PIN_RX);
    USART_CR1 = UART_FIFO; /* before it is enabled */
    USART_BRR = UART_DIVIDER;
    USART_CR3 = CR3_DMAR_DMAT;
    mcu_connect_dma();
    USART_CR1 = UART_FIFO | CR1_UE_RE_TE; /* 8N1, no flow control */
    NVIC_ISER0 = DMA_IRQS;
}

void hal_init(void)
{
    reset_reason = reason_of(RCC_CSR);
    RCC_CSR |= CSR_RMVF;
    ++__boots;
    silence_bootloader();
    start_clocks();
    GPIO_BSRR(GPIO_SYNC) = 1u << (PIN_SYNC + 16u);
    set_mode(GPIO_SYNC, PIN_SYNC, MODE_OUTPUT);
    DEMCR |= DEMCR_TRCENA;
    DWT_CYCCNT = 0;
    DWT_CTRL |= 1u;
    start_coarse_clock();
    start_uart();
    hil_mailbox_open(DOORBELL_IRQ, __boots * 0x9E3779B9u);
    NVIC_ISER0 = 1u << DOORBELL_IRQ;
}

static void start(uint32_t channel, uint32_t peripheral, const void *memory, uint32_t bytes, uint32_t direction)
{
    DMA_CCR(channel) = 0;
    DMA_IFCR = FLAGS(channel);
    DMA_CNDTR(channel) = bytes;
    DMA_CPAR(channel) = peripheral;
    DMA_CMAR(channel) = (uint32_t)memory;
    barrier();
    DMA_CCR(channel) = direction | CCR_MINC | CCR_TCIE | CCR_EN;
}

static void stop(uint32_t channel)
{
    DMA_CCR(channel) = 0;
    DMA_IFCR = FLAGS(channel);
    barrier(); /* nothing of the buffer may be read before this point */
}

static void arm_uart(void *buffer, uint32_t bytes)
{
    const uint32_t errors = USART_ISR & ISR_PE_FE_NF_ORE;
    if (errors != 0) {
        ++rx_errors;
        USART_ICR = errors;
    }
    start(RECEIVE, USART_RDR, buffer, bytes, 0);
}

void hal_rx_arm(void *buffer, uint32_t bytes)
{
    if (held != NULL) {
        memcpy(buffer, held, bytes < HEADER_BYTES ? bytes : HEADER_BYTES);
    } else if (spoken == BY_UART) {
        arm_uart(buffer, bytes);
    } else {
        hil_mailbox_offer(buffer, bytes);
    }
}

/* The line that was spoken so far waits for a header from now on, as the other does. */
static void turn_to(enum line line, const uint8_t *header)
{
    if (spoken == BY_UART) {
        stop(RECEIVE);
        arm_uart(aside, HEADER_BYTES);
    } else {
        hil_mailbox_offer(hil_mailbox.header, HIL_MAILBOX_HEADER);
    }
    spoken = line;
    held = header;
}

bool hal_rx_wait(void)
{
    if (held != NULL) {
        held = NULL;
        return true;
    }
    for (;;) {
        if (complete(RECEIVE)) {
            stop(RECEIVE);
            if (spoken == BY_UART) {
                return true;
            }
            turn_to(BY_UART, aside);
            return false;
        }
        if (hil_mailbox_filled()) {
            if (spoken == BY_PROBE) {
                return true;
            }
            turn_to(BY_PROBE, hil_mailbox.header);
            return false;
        }
        sleep_until_event();
    }
}

void hal_idle(void)
{
}

void hal_crashed(void)
{
    NVIC_ICER(0) = DMA_IRQS | 1u << DOORBELL_IRQ;
    sleep_until_event();
}

void hal_tx(const void *buffer, uint32_t bytes)
{
    if (spoken == BY_PROBE) {
        hil_mailbox_post(buffer, bytes);
        while (!hil_mailbox_taken() && !complete(RECEIVE)) {
            sleep_until_event();
        }
        return;
    }
    start(SEND, USART_TDR, buffer, bytes, CCR_FROM_MEMORY);
    while (!complete(SEND)) {
        sleep_until_event();
    }
    stop(SEND);
}

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

uint32_t hal_rx_errors(void)
{
    return rx_errors;
}

void hal_sync_pin(bool high)
{
    GPIO_BSRR(GPIO_SYNC) = high ? 1u << PIN_SYNC : 1u << (PIN_SYNC + 16u);
}
