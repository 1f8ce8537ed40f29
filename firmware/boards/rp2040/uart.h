/* UART0 and its DMA for uart_link.c, and for hal.c, which starts them. Register names and chapters are those of the RP2040
 * datasheet. */
#ifndef UART_H
#define UART_H

#include <stdbool.h>

#include "cortex_m.h"

/* Chapter UART: a PL011. */
#define UART_DR 0x40034000u
#define UART_RSR REG(0x40034004u)
#define UART_IBRD REG(0x40034024u)
#define UART_FBRD REG(0x40034028u)
#define UART_LCR_H REG(0x4003402Cu)
#define LCR_8N1_FIFO 0x70u
#define UART_CR REG(0x40034030u)
#define CR_RXE_TXE_EN 0x301u
#define UART_DMACR REG(0x40034048u)
#define DMACR_RX_TX 3u

/* Chapter DMA. */
#define DMA_READ_ADDR(channel) REG(0x50000000u + 0x40u * (channel))
#define DMA_WRITE_ADDR(channel) REG(0x50000004u + 0x40u * (channel))
#define DMA_TRANS_COUNT(channel) REG(0x50000008u + 0x40u * (channel))
#define DMA_CTRL_TRIG(channel) REG(0x5000000Cu + 0x40u * (channel))
#define CTRL_EN 1u
#define CTRL_INCR_READ (1u << 4)
#define CTRL_INCR_WRITE (1u << 5)
#define CTRL_CHAIN_TO(channel) ((channel) << 11) /* to itself: to none */
#define CTRL_TREQ(request) ((request) << 15)
#define DREQ_UART0_TX 20u
#define DREQ_UART0_RX 21u
#define DMA_INTR REG(0x50000400u)
#define DMA_INTE0 REG(0x50000404u)
#define DMA_CHAN_ABORT REG(0x50000444u)
#define SEND 0u
#define RECEIVE 1u
#define UART_IRQS (1u << 11) /* DMA_IRQ_0 */
#define DOORBELL_IRQ 31u /* interrupts 26 to 31 belong to nothing */

void sleep_until_event(void);

static inline bool dma_complete(uint32_t channel)
{
    return (DMA_INTR >> channel & 1u) != 0;
}

static inline void start_dma(uint32_t channel, const void *from, const void *to, uint32_t bytes, uint32_t control)
{
    DMA_INTR = 1u << channel;
    DMA_READ_ADDR(channel) = (uint32_t)from;
    DMA_WRITE_ADDR(channel) = (uint32_t)to;
    DMA_TRANS_COUNT(channel) = bytes;
    barrier();
    DMA_CTRL_TRIG(channel) = control | CTRL_CHAIN_TO(channel) | CTRL_EN;
}

/* The interrupt's flag is cleared last, because an abort may set it. */
static inline void stop_dma(uint32_t channel)
{
    DMA_CHAN_ABORT = 1u << channel;
    for (uint32_t i = 0; i < 1000u && (DMA_CHAN_ABORT >> channel & 1u) != 0; ++i) {
    }
    DMA_INTR = 1u << channel;
    barrier(); /* nothing of the buffer may be read before this point */
}

static inline void uart_receive(void *buffer, uint32_t bytes)
{
    start_dma(RECEIVE, (const void *)UART_DR, buffer, bytes, CTRL_INCR_WRITE | CTRL_TREQ(DREQ_UART0_RX));
}

static inline void uart_send(const void *buffer, uint32_t bytes)
{
    start_dma(SEND, buffer, (const void *)UART_DR, bytes, CTRL_INCR_READ | CTRL_TREQ(DREQ_UART0_TX));
}

static inline bool uart_had_error(void)
{
    if (UART_RSR == 0) {
        return false;
    }
    UART_RSR = 0;
    return true;
}

#endif
