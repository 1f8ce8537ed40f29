/* The STM32H743 at 400 MHz: USART3 by DMA, and a debug probe: it answers where it was spoken to last. DWT cycle counter,
 * sleep by WFI with interrupts masked, both caches on. board.h names pins and baud rate. Register names and chapters are
 * those of the reference manual RM0433; of the core those of the Armv7-M manual. */
#include "hil_hal.h"

#include <string.h>

#include "board.h"
#include "hil_mailbox.h"

#define REG(address) (*(volatile uint32_t *)(address))

/* Chapter FLASH: wait states, and the delay between its signals. */
#define FLASH_ACR REG(0x52002000u)
#define ACR_200_MHZ (2u | 2u << 4) /* what AXI at 200 MHz needs at VOS1: two wait states, WRHIGHFREQ = 2 */

/* Chapter PWR. */
#define PWR_CSR1 REG(0x58024804u)
#define CSR1_ACTVOSRDY (1u << 13)
#define PWR_CR3 REG(0x5802480Cu)
#define CR3_SUPPLY 7u
#define CR3_LDO (1u << 1)
#define PWR_D3CR REG(0x58024818u)
#define D3CR_VOSRDY (1u << 13)
#define D3CR_VOS1 (3u << 14)

/* Chapter RCC. */
#define RCC_CR REG(0x58024400u)
#define CR_HSI48ON (1u << 12)
#define CR_HSEON (1u << 16)
#define CR_HSERDY (1u << 17)
#define CR_HSEBYP (1u << 18)
#define CR_PLL1ON (1u << 24)
#define CR_PLL1RDY (1u << 25)
#define RCC_CFGR REG(0x58024410u)
#define CFGR_SW_PLL1 3u
#define CFGR_SWS_PLL1 (3u << 3)
#define RCC_D1CFGR REG(0x58024418u)
#define D1CFGR_AXI_2_APB3_2 (8u | 4u << 4) /* core 400, AXI and AHB 200, APB3 100 MHz */
#define RCC_D2CFGR REG(0x5802441Cu)
#define D2CFGR_APB1_2_APB2_2 (4u << 4 | 4u << 8)
#define RCC_D3CFGR REG(0x58024420u)
#define D3CFGR_APB4_2 (4u << 4)
#define RCC_PLLCKSELR REG(0x58024428u)
#define PLLCKSELR_HSE_1 (2u | 1u << 4)
#define RCC_PLLCFGR REG(0x5802442Cu)
#define PLLCFGR_P_OF_8_MHZ (2u << 2 | 1u << 16) /* a reference of 4 to 8 MHz, the wide VCO, only output P */
#define RCC_PLL1DIVR REG(0x58024430u)
#define PLL1DIVR_100_2 (99u | 1u << 9) /* 8 MHz x 100 / 2 */
#define RCC_RSR REG(0x580244D0u)
#define RSR_RMVF (1u << 16)
#define RSR_BROWNOUT (1u << 21)
#define RSR_PIN (1u << 22)
#define RSR_POWER_ON (1u << 23)
#define RSR_SOFTWARE (1u << 24)
#define RSR_WATCHDOGS (1u << 26 | 1u << 28)
#define RCC_AHB1ENR REG(0x580244D8u)
#define AHB1ENR_DMA1 1u
#define RCC_AHB2ENR REG(0x580244DCu)
#define AHB2ENR_RNG_SRAM1 (1u << 6 | 1u << 29)
#define RCC_AHB4ENR REG(0x580244E0u)
#define AHB4ENR_GPIOD_GPIOE (3u << 3)
#define RCC_APB1LENR REG(0x580244E8u)
#define APB1LENR_TIM2_USART3 (1u | 1u << 18)

/* Chapter GPIO. */
#define GPIOD 0x58020C00u
#define GPIOE 0x58021000u
#define GPIO_MODER(port) REG((port) + 0x00u)
#define GPIO_PUPDR(port) REG((port) + 0x0Cu)
#define GPIO_BSRR(port) REG((port) + 0x18u)
#define GPIO_AFR(port, pin) REG((port) + 0x20u + 4u * ((pin) / 8u))
#define MODE_OUTPUT 1u
#define MODE_ALTERNATE 2u
#define PULL_UP 1u

/* Chapter USART. */
#define USART_CR1 REG(0x40004800u)
#define CR1_UE_RE_TE 0xDu
#define CR1_FIFOEN (1u << 29)
#define USART_CR3 REG(0x40004808u)
#define CR3_DMAR_DMAT (3u << 6)
#define USART_BRR REG(0x4000480Cu)
#define USART_ISR REG(0x4000481Cu)
#define ISR_PE_FE_NE_ORE 0xFu
#define USART_ICR REG(0x40004820u)
#define USART_RDR 0x40004824u
#define USART_TDR 0x40004828u

/* Chapters DMA and DMAMUX: stream 0 receives and stream 1 sends. */
#define DMA_LISR REG(0x40020000u)
#define DMA_LIFCR REG(0x40020008u)
#define DMA_CR(stream) REG(0x40020010u + 24u * (stream))
#define DMA_NDTR(stream) REG(0x40020014u + 24u * (stream))
#define DMA_PAR(stream) REG(0x40020018u + 24u * (stream))
#define DMA_M0AR(stream) REG(0x4002001Cu + 24u * (stream))
#define DMAMUX_CCR(stream) REG(0x40020800u + 4u * (stream))
#define REQUEST_USART3_RX 45u
#define REQUEST_USART3_TX 46u
#define CR_EN 1u
#define CR_TCIE (1u << 4)
#define CR_FROM_MEMORY (1u << 6)
#define CR_MINC (1u << 10)
#define CR_TRBUFF (1u << 20) /* what a USART's stream has to have, or it may stand still (errata sheet ES0392) */
#define FLAGS(stream) (0x3Du << (6u * (stream)))
#define COMPLETE(stream) (0x20u << (6u * (stream)))
#define RECEIVE 0u
#define SEND 1u
#define DMA_IRQS (3u << 11) /* streams 0 and 1 are interrupts 11 and 12 */
#define DOORBELL_IRQ 6u     /* EXTI0, which nothing else uses */

/* Chapter TIM2: 200 MHz / 2^10, one tick in 2048 CPU cycles. */
#define TIM2_CR1 REG(0x40000000u)
#define TIM2_EGR REG(0x40000014u)
#define TIM2_CNT REG(0x40000024u)
#define TIM2_PSC REG(0x40000028u)
#define TIM2_ARR REG(0x4000002Cu)

/* Chapter RNG. */
#define RNG_CR REG(0x48021800u)
#define RNG_SR REG(0x48021804u)
#define RNG_DR REG(0x48021808u)
#define RNG_ENABLED (1u << 2)

/* Chapter "Device electronic signature". */
#define UID(word) REG(0x1FF1E800u + 4u * (word))

/* The MPU: SRAM1, which DMA1 writes, is memory that isn't cached, in the fault handler (HFNMIENA), too. */
#define MPU_CTRL REG(0xE000ED94u)
#define MPU_RNR REG(0xE000ED98u)
#define MPU_RBAR REG(0xE000ED9Cu)
#define MPU_RASR REG(0xE000EDA0u)
#define CTRL_ALWAYS_AND_BACKGROUND 7u
#define SRAM1 0x30000000u
#define RASR_128K_NOT_CACHED (3u << 24 | 1u << 19 | 1u << 18 | 16u << 1 | 1u) /* full access, TEX = 1, shareable */

/* The caches. */
#define SCB_CCR REG(0xE000ED14u)
#define CCR_DC (1u << 16)
#define CCR_IC (1u << 17)
#define SCB_CCSIDR REG(0xE000ED80u)
#define SCB_CSSELR REG(0xE000ED84u)
#define SCB_ICIALLU REG(0xE000EF50u)
#define SCB_DCISW REG(0xE000EF60u)

#define NVIC_ISER0 REG(0xE000E100u)
#define NVIC_ICER(n) REG(0xE000E180u + 4u * (n))
#define NVIC_ICPR(n) REG(0xE000E280u + 4u * (n))
#define SYSTICK_CSR REG(0xE000E010u)
#define DEMCR REG(0xE000EDFCu)
#define DEMCR_TRCENA (1u << 24)
#define DWT_CTRL REG(0xE0001000u)
#define DWT_CYCCNT REG(0xE0001004u)
#define DWT_LAR REG(0xE0001FB0u)
#define LAR_KEY 0xC5ACCE55u

#define CORE_HZ 400000000u
#define USART_HZ (CORE_HZ / 4u)

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

static bool complete(uint32_t stream)
{
    return (DMA_LISR & COMPLETE(stream)) != 0;
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
    for (uint32_t n = 0; n < 5; ++n) {
        NVIC_ICER(n) = 0xFFFFFFFFu;
        NVIC_ICPR(n) = 0xFFFFFFFFu;
    }
}

/* The reasons as the agent reports them. The pin's flag is set with each of the others, too: the chip drives it. */
static uint32_t reason_of(uint32_t flags)
{
    if ((flags & RSR_WATCHDOGS) != 0) {
        return 2u;
    }
    if ((flags & RSR_SOFTWARE) != 0) {
        return 4u;
    }
    return (flags & (RSR_BROWNOUT | RSR_POWER_ON)) == 0 && (flags & RSR_PIN) != 0 ? 1u : 0u;
}

/* The caches are off after a reset, and hold what they held before. */
static void start_caches(void)
{
    MPU_RNR = 0;
    MPU_RBAR = SRAM1;
    MPU_RASR = RASR_128K_NOT_CACHED;
    MPU_CTRL = CTRL_ALWAYS_AND_BACKGROUND;
    SCB_CSSELR = 0; /* the data cache */
    __asm volatile("dsb\nisb" ::: "memory");
    const uint32_t geometry = SCB_CCSIDR;
    const uint32_t sets = (geometry >> 13 & 0x7FFFu) + 1u;
    const uint32_t ways = (geometry >> 3 & 0x3FFu) + 1u;
    for (uint32_t set = 0; set < sets; ++set) {
        for (uint32_t way = 0; way < ways; ++way) {
            SCB_DCISW = way << 30 | set << 5; /* four ways, lines of 32 bytes */
        }
    }
    SCB_ICIALLU = 0;
    __asm volatile("dsb\nisb" ::: "memory");
    SCB_CCR |= CCR_IC | CCR_DC;
    __asm volatile("dsb\nisb" ::: "memory");
}

/* The supply is chosen before the voltage can be raised, the voltage before the clock, and wait states before it, too. */
static void start_clocks(void)
{
    PWR_CR3 = (PWR_CR3 & ~CR3_SUPPLY) | CR3_LDO; /* once after power-on; later writes change nothing */
    await(&PWR_CSR1, CSR1_ACTVOSRDY);
    PWR_D3CR = D3CR_VOS1;
    await(&PWR_D3CR, D3CR_VOSRDY);
    FLASH_ACR = ACR_200_MHZ;
    for (uint32_t i = 0; i < 1000u && FLASH_ACR != ACR_200_MHZ; ++i) {
    }
    RCC_CR |= CR_HSEBYP; /* the ST-LINK makes 8 MHz */
    RCC_CR |= CR_HSEON | CR_HSI48ON; /* the latter for the random numbers */
    await(&RCC_CR, CR_HSERDY);
    RCC_PLLCKSELR = PLLCKSELR_HSE_1;
    RCC_PLLCFGR = PLLCFGR_P_OF_8_MHZ;
    RCC_PLL1DIVR = PLL1DIVR_100_2;
    RCC_CR |= CR_PLL1ON;
    await(&RCC_CR, CR_PLL1RDY);
    RCC_D1CFGR = D1CFGR_AXI_2_APB3_2; /* before the faster clock */
    RCC_D2CFGR = D2CFGR_APB1_2_APB2_2;
    RCC_D3CFGR = D3CFGR_APB4_2;
    RCC_CFGR = CFGR_SW_PLL1;
    await(&RCC_CFGR, CFGR_SWS_PLL1);
    RCC_AHB1ENR |= AHB1ENR_DMA1;
    RCC_AHB2ENR |= AHB2ENR_RNG_SRAM1;
    RCC_AHB4ENR |= AHB4ENR_GPIOD_GPIOE;
    RCC_APB1LENR |= APB1LENR_TIM2_USART3;
    (void)RCC_APB1LENR; /* a clock runs two cycles after it is enabled */
}

static void start_coarse_clock(void)
{
    TIM2_CR1 = 0;
    TIM2_PSC = 1023;
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
    const uint32_t place = 4u * (pin % 8u);
    GPIO_AFR(port, pin) = (GPIO_AFR(port, pin) & ~(15u << place)) | AF_UART << place;
    set_mode(port, pin, MODE_ALTERNATE);
}

static void start_uart(void)
{
    /* An open pin reads as an idle line. */
    GPIO_PUPDR(GPIO_UART) = (GPIO_PUPDR(GPIO_UART) & ~(3u << 2u * PIN_RX)) | PULL_UP << 2u * PIN_RX;
    connect(GPIO_UART, PIN_TX);
    connect(GPIO_UART, PIN_RX);
    USART_CR1 = 0;
    USART_BRR = USART_HZ / BAUD;
    USART_CR3 = CR3_DMAR_DMAT;
    DMAMUX_CCR(RECEIVE) = REQUEST_USART3_RX;
    DMAMUX_CCR(SEND) = REQUEST_USART3_TX;
    USART_CR1 = CR1_FIFOEN;
    USART_CR1 = CR1_FIFOEN | CR1_UE_RE_TE; /* 8N1, no flow control */
    NVIC_ISER0 = DMA_IRQS;
}

void hal_init(void)
{
    reset_reason = reason_of(RCC_RSR);
    RCC_RSR |= RSR_RMVF;
    ++__boots;
    silence_bootloader();
    start_clocks();
    start_caches();
    GPIO_BSRR(GPIO_SYNC) = 1u << (PIN_SYNC + 16u);
    set_mode(GPIO_SYNC, PIN_SYNC, MODE_OUTPUT);
    DEMCR |= DEMCR_TRCENA;
    DWT_LAR = LAR_KEY; /* without a debugger the DWT is locked */
    DWT_CYCCNT = 0;
    DWT_CTRL |= 1u;
    start_coarse_clock();
    start_uart();
    hil_mailbox_open(DOORBELL_IRQ, __boots * 0x9E3779B9u);
    NVIC_ISER0 = 1u << DOORBELL_IRQ;
}

static void stop(uint32_t stream)
{
    DMA_CR(stream) = 0;
    for (uint32_t i = 0; i < 1000u && (DMA_CR(stream) & CR_EN) != 0; ++i) {
    }
    DMA_LIFCR = FLAGS(stream); /* being switched off sets one, too */
    barrier(); /* nothing of the buffer may be read before this point */
}

static void start(uint32_t stream, uint32_t peripheral, const void *memory, uint32_t bytes, uint32_t direction)
{
    stop(stream);
    DMA_NDTR(stream) = bytes;
    DMA_PAR(stream) = peripheral;
    DMA_M0AR(stream) = (uint32_t)memory;
    __asm volatile("dsb" ::: "memory"); /* what was written for it has arrived */
    DMA_CR(stream) = direction | CR_MINC | CR_TRBUFF | CR_TCIE | CR_EN;
}

static void arm_uart(void *buffer, uint32_t bytes)
{
    const uint32_t errors = USART_ISR & ISR_PE_FE_NE_ORE;
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
    start(SEND, USART_TDR, buffer, bytes, CR_FROM_MEMORY);
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
