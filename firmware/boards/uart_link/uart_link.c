/* The agent's line of a board with a UART by DMA and a debug probe: it answers where it was spoken to last. What differs
 * from family to family is in its uart.h:
 *
 *   RECEIVE, SEND                the channels of the DMA
 *   UART_IRQS                    their interrupts, a bit each; all are among the first 32
 *   DOORBELL_IRQ                 number of one that nothing else uses: the debug probe sets it pending
 *   uart_receive(buffer, bytes)  begins to receive exactly so many bytes, whatever was received before
 *   uart_send(buffer, bytes)     begins to send them
 *   uart_had_error()             whether bytes were lost or damaged since it was asked last
 *   dma_complete(channel)        whether all bytes have come or left
 *   stop_dma(channel)            ends that, complete or not; afterwards what was received may be read
 *   sleep_until_event()          sleeps until one of these interrupts is pending, and makes it no longer so
 */
#include <string.h>

#include "cortex_m.h"
#include "hil_hal.h"
#include "hil_mailbox.h"
#include "uart.h"

/* Where the last bytes came from, and where answers go. */
static enum line { BY_UART, BY_PROBE } spoken;

/* While the probe is spoken, what the UART receives goes here; when it is full, somebody speaks over the UART. */
#define HEADER_BYTES 16u
__attribute__((section(".dma"), aligned(4))) static uint8_t aside[HEADER_BYTES + HAL_RX_GUARD];

/* The header with which somebody began to speak over another line, until the agent waits for one; else NULL. */
static const uint8_t *held;

static uint32_t rx_errors;

static void arm_uart(void *buffer, uint32_t bytes)
{
    if (uart_had_error()) {
        ++rx_errors;
    }
    uart_receive(buffer, bytes);
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
        stop_dma(RECEIVE);
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
        if (dma_complete(RECEIVE)) {
            stop_dma(RECEIVE);
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

void hal_tx(const void *buffer, uint32_t bytes)
{
    if (spoken == BY_PROBE) {
        hil_mailbox_post(buffer, bytes);
        while (!hil_mailbox_taken() && !dma_complete(RECEIVE)) {
            sleep_until_event();
        }
        return;
    }
    uart_send(buffer, bytes);
    while (!dma_complete(SEND)) {
        sleep_until_event();
    }
    stop_dma(SEND);
}

void hal_idle(void)
{
}

void hal_crashed(void)
{
    NVIC_ICER(0) = UART_IRQS | 1u << DOORBELL_IRQ;
    sleep_until_event();
}

uint32_t hal_rx_errors(void)
{
    return rx_errors;
}
