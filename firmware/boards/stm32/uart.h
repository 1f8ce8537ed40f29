/* The U(S)ART or LPUART of an STM32 for uart_link.c, and for hal.c, which starts it. Its DMA is the family's. Register names
 * are those of the reference manuals' chapters USART and LPUART. */
#ifndef UART_H
#define UART_H

#include "family.h"

#define USART_CR1 REG(UART + 0x00u)
#define CR1_UE_RE_TE 0xDu
#define USART_CR3 REG(UART + 0x08u)
#define CR3_DMAR_DMAT (3u << 6)
#define USART_BRR REG(UART + 0x0Cu)
#define USART_ISR REG(UART + 0x1Cu)
#define ISR_PE_FE_NE_ORE 0xFu
#define USART_ICR REG(UART + 0x20u)
#define USART_RDR (UART + 0x24u)
#define USART_TDR (UART + 0x28u)

#define DOORBELL_IRQ 6u /* EXTI0, which nothing else uses */

void sleep_until_event(void);

static inline void uart_receive(void *buffer, uint32_t bytes)
{
    start_dma(RECEIVE, USART_RDR, buffer, bytes, 0);
}

static inline void uart_send(const void *buffer, uint32_t bytes)
{
    start_dma(SEND, USART_TDR, buffer, bytes, DMA_FROM_MEMORY);
}

static inline bool uart_had_error(void)
{
    const uint32_t errors = USART_ISR & ISR_PE_FE_NE_ORE;
    if (errors == 0) {
        return false;
    }
    USART_ICR = errors;
    return true;
}

#endif
