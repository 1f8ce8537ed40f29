/* What the STM32H743 at 400 MHz with USART3 has otherwise than other STM32: both caches are on. Register names and chapters are
 * those of the reference manual RM0433; of the core those of the Armv7-M manual. */
#ifndef FAMILY_H
#define FAMILY_H

#include <stdbool.h>

#include "board.h"
#include "dwt.h"

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
#define RESET_FLAGS REG(0x580244D0u) /* RCC_RSR */
#define RESET_CLEAR (1u << 16)
#define RESET_PIN (1u << 22)
#define RESET_POWER (1u << 21 | 1u << 23) /* brown-out, power-on */
#define RESET_SOFTWARE (1u << 24)
#define RESET_WATCHDOGS (1u << 26 | 1u << 28)
#define RCC_AHB1ENR REG(0x580244D8u)
#define AHB1ENR_DMA1 1u
#define RCC_AHB2ENR REG(0x580244DCu)
#define AHB2ENR_RNG_SRAM1 (1u << 6 | 1u << 29)
#define RCC_AHB4ENR REG(0x580244E0u)
#define AHB4ENR_GPIOD_GPIOE (3u << 3)
#define RCC_APB1LENR REG(0x580244E8u)
#define APB1LENR_TIM2_USART3 (1u | 1u << 18)

/* Chapter "Memory organization". */
#define GPIOD 0x58020C00u
#define GPIOE 0x58021000u

/* Chapter USART. */
#define UART 0x40004800u
#define UART_DIVIDER (CORE_HZ / 4u / BAUD)
#define UART_FIFO (1u << 29)

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
#define DMA_FROM_MEMORY (1u << 6)
#define CR_MINC (1u << 10)
#define CR_TRBUFF (1u << 20) /* what a USART's stream has to have, or it may stand still (errata sheet ES0392) */
#define FLAGS(stream) (0x3Du << (6u * (stream)))
#define COMPLETE(stream) (0x20u << (6u * (stream)))
#define RECEIVE 0u
#define SEND 1u
#define UART_IRQS (3u << 11) /* streams 0 and 1 are interrupts 11 and 12 */

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

#define DWT_LAR REG(0xE0001FB0u)
#define LAR_KEY 0xC5ACCE55u

#define CORE_HZ 400000000u
#define NVIC_WORDS 5u
#define TIM2_PRESCALER 1023u /* of 200 MHz */
#define RNG 0x48021800u
#define UNIQUE_ID 0x1FF1E800u

/* The caches are off after a reset, and hold what they held before. */
static inline void start_caches(void)
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
static inline void start_clocks(void)
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

static inline void start_chip(void)
{
    start_clocks();
    start_caches();
    DEMCR |= DEMCR_TRCENA;
    DWT_LAR = LAR_KEY; /* without a debugger the DWT is locked */
}

static inline void connect_dma(void)
{
    DMAMUX_CCR(RECEIVE) = REQUEST_USART3_RX;
    DMAMUX_CCR(SEND) = REQUEST_USART3_TX;
}

static inline bool dma_complete(uint32_t stream)
{
    return (DMA_LISR & COMPLETE(stream)) != 0;
}

static inline void stop_dma(uint32_t stream)
{
    DMA_CR(stream) = 0;
    for (uint32_t i = 0; i < 1000u && (DMA_CR(stream) & CR_EN) != 0; ++i) {
    }
    DMA_LIFCR = FLAGS(stream); /* being switched off sets one, too */
    barrier(); /* nothing of the buffer may be read before this point */
}

static inline void start_dma(uint32_t stream, uint32_t peripheral, const void *memory, uint32_t bytes, uint32_t direction)
{
    stop_dma(stream);
    DMA_NDTR(stream) = bytes;
    DMA_PAR(stream) = peripheral;
    DMA_M0AR(stream) = (uint32_t)memory;
    __asm volatile("dsb" ::: "memory"); /* what was written for it has arrived */
    DMA_CR(stream) = direction | CR_MINC | CR_TRBUFF | CR_TCIE | CR_EN;
}

#endif
