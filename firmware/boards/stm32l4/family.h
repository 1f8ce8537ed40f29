/* What the STM32L4 and L4+ have otherwise than other STM32. board.h includes what differs from chip to chip. Register names and
 * chapters are those of the reference manuals RM0351 and RM0432. */
#ifndef FAMILY_H
#define FAMILY_H

#include <stdbool.h>

#include "board.h"
#include "cortex_m.h"

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
#define RESET_FLAGS REG(0x40021094u) /* RCC_CSR */
#define RESET_CLEAR (1u << 23)
#define RESET_PIN (1u << 26)
#define RESET_POWER (1u << 27)
#define RESET_SOFTWARE (1u << 28)
#define RESET_WATCHDOGS (3u << 29)

/* Chapter DMA: channel 4 sends and channel 5 receives. */
#define DMA_ISR REG(0x40020000u)
#define DMA_IFCR REG(0x40020004u)
#define DMA_CCR(channel) REG(0x40020008u + 20u * ((channel) - 1u))
#define DMA_CNDTR(channel) REG(0x4002000Cu + 20u * ((channel) - 1u))
#define DMA_CPAR(channel) REG(0x40020010u + 20u * ((channel) - 1u))
#define DMA_CMAR(channel) REG(0x40020014u + 20u * ((channel) - 1u))
#define CCR_EN 1u
#define CCR_TCIE (1u << 1)
#define DMA_FROM_MEMORY (1u << 4)
#define CCR_MINC (1u << 7)
#define FLAGS(channel) (0xFu << (4u * ((channel) - 1u)))
#define COMPLETE(channel) (2u << (4u * ((channel) - 1u)))
#define SEND 4u
#define RECEIVE 5u
#define UART_IRQS (3u << 14) /* channels 4 and 5 are interrupts 14 and 15 */

#define NVIC_WORDS 3u
#define TIM2_PRESCALER 2047u /* of the core's clock */
#define RNG 0x50060800u
#define UNIQUE_ID 0x1FFF7590u

static inline void start_chip(void)
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
    mcu_supply_pins();
}

static inline bool dma_complete(uint32_t channel)
{
    return (DMA_ISR & COMPLETE(channel)) != 0;
}

static inline void start_dma(uint32_t channel, uint32_t peripheral, const void *memory, uint32_t bytes, uint32_t direction)
{
    DMA_CCR(channel) = 0;
    DMA_IFCR = FLAGS(channel);
    DMA_CNDTR(channel) = bytes;
    DMA_CPAR(channel) = peripheral;
    DMA_CMAR(channel) = (uint32_t)memory;
    barrier();
    DMA_CCR(channel) = direction | CCR_MINC | CCR_TCIE | CCR_EN;
}

static inline void stop_dma(uint32_t channel)
{
    DMA_CCR(channel) = 0;
    DMA_IFCR = FLAGS(channel);
    barrier(); /* nothing of the buffer may be read before this point */
}

#endif
