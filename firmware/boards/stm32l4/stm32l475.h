/* What family.h needs to know of the STM32L475 at 80 MHz with USART1. Chapters are those of the reference manual RM0351. The USART
 * has no FIFO: of what comes while no reception is armed, one byte is kept. */
#ifndef STM32L475_H
#define STM32L475_H

#include "stm32l4.h"

#define CORE_HZ 80000000u

/* Chapter FLASH: what 80 MHz needs in voltage range 1, in which a reset leaves the chip. */
#define WAIT_STATES 4u

/* Chapter RCC: HSI, M = 1, N = 20, R = 4 and enabled. */
#define PLL_TO_CORE_HZ (2u | 20u << 8 | 1u << 24 | 1u << 25)
#define AHB1ENR_DMA 1u
#define AHB2ENR_PORTS 3u /* GPIOA, GPIOB */
#define RCC_UART_ENR REG(0x40021060u)
#define UART_ENABLE (1u << 14) /* APB2ENR.USART1EN */

/* Chapter USART. */
#define UART 0x40013800u
#define UART_DIVIDER (CORE_HZ / BAUD)
#define UART_FIFO 0u

/* Chapter DMA: channel 4 sends and channel 5 receives, both with request 2 (table "DMA1 requests for each channel"). */
#define DMA_CSELR REG(0x400200A8u)

static inline void mcu_raise_voltage(void)
{
}

static inline void mcu_supply_pins(void)
{
}

static inline void connect_dma(void)
{
    DMA_CSELR = 2u << 12 | 2u << 16;
}

#endif
