/* What family.h needs to know of the STM32L4R5 at 120 MHz with LPUART1, which has a FIFO of 8 bytes. Chapters are those of the
 * reference manual RM0432. */
#ifndef STM32L4R5_H
#define STM32L4R5_H

#include "stm32l4.h"

#define CORE_HZ 120000000u

/* Chapter FLASH: what 120 MHz needs in voltage range 1 with boost. */
#define WAIT_STATES 5u

/* Chapter RCC: HSI, M = 4, N = 60, R = 2 and enabled. Above 80 MHz the core is reached by half of its clock. */
#define PLL_TO_CORE_HZ (2u | 3u << 4 | 60u << 8 | 1u << 24)
#define BY_HALF
#define AHB1ENR_DMA 5u                      /* DMA1, DMAMUX1 */
#define AHB2ENR_PORTS (1u << 5 | 1u << 6)   /* GPIOF, GPIOG */
#define RCC_UART_ENR REG(0x4002105Cu)
#define UART_ENABLE 1u /* APB1ENR2.LPUART1EN */

/* Chapter LPUART; its clock is that of the core. */
#define UART 0x40008000u
#define UART_DIVIDER ((uint32_t)(256ull * CORE_HZ / BAUD))
#define UART_FIFO (1u << 29)

/* Chapter PWR. */
#define PWR_ENABLE (1u << 28) /* APB1ENR1.PWREN */
#define PWR_CR2 REG(0x40007004u)
#define CR2_IOSV (1u << 9)
#define PWR_CR5 REG(0x40007080u)
#define CR5_R1MODE (1u << 8)

/* Chapter DMAMUX: channels of DMA1 are counted from 0 here. */
#define DMAMUX_CCR(channel) REG(0x40020800u + 4u * ((channel) - 1u))
#define REQUEST_LPUART1_RX 34u
#define REQUEST_LPUART1_TX 35u

static inline void mcu_raise_voltage(void)
{
    RCC_APB1ENR1 |= PWR_ENABLE;
    (void)RCC_APB1ENR1; /* a clock runs two cycles after it is enabled */
    PWR_CR5 &= ~CR5_R1MODE;
}

/* PG2 to PG15 are dead before. */
static inline void mcu_supply_pins(void)
{
    PWR_CR2 |= CR2_IOSV;
}

static inline void connect_dma(void)
{
    DMAMUX_CCR(4u) = REQUEST_LPUART1_TX;
    DMAMUX_CCR(5u) = REQUEST_LPUART1_RX;
}

#endif
