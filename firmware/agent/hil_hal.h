/* What a board provides to the agent. One file implements it for a family of chips (hal.c under firmware/boards), and
 * program/hil_program.c for the agent inside of somebody else's program.
 *
 * On a board of the agent's own there are no interrupts: it waits in hal_rx_wait() with interrupts masked, and receives by
 * DMA of exactly the armed length. Where there is no DMA an interrupt stores each byte, but never during an inference. */
#ifndef HIL_HAL_H
#define HIL_HAL_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __AVR__
#define HAL_RX_GUARD 0u /* the CPU itself stores what comes */
#else
#define HAL_RX_GUARD 16u /* bytes that must exist behind every receive buffer */
#endif

void hal_init(void);

/* Starts reception of exactly `bytes` bytes (1 to 65,535). Returns when the receiver is ready for them. */
void hal_rx_arm(void *buffer, uint32_t bytes);

/* Sleeps until the armed reception is complete. False if it never will be, because the host has begun to speak over
 * another line of the board: then a header has to be armed, which may be here already. */
bool hal_rx_wait(void);

/* Whether hal_rx_wait() would return at once. The agent's own definition says so always: its own boards may sleep. */
bool hal_rx_ready(void);

/* Called between inferences and between layers, never in what is timed: the time for what can't wait for a request,
 * like the requests of a USB host. */
void hal_idle(void);

/* Called over and over in the fault handler, by the start-up code: sleeps, and does what can't wait. */
void hal_crashed(void);

/* Sends `bytes` bytes from RAM and waits until they have left the buffer. */
void hal_tx(const void *buffer, uint32_t bytes);

/* Free-running 32-bit counter of hal_counter_hz(); never inlined, so that every reading costs the same. */
uint32_t hal_ticks(void);
uint32_t hal_counter_hz(void);

/* A slow second clock beside hal_ticks(), 32 bits, so that a measurement which lasts until the fast one comes round
 * is noticed. The fast counter comes round once in HAL_COARSE_TICKS_PER_WRAP of its ticks. */
#define HAL_COARSE_TICKS_PER_WRAP (UINT32_C(1) << 21)
uint32_t hal_coarse_ticks(void);

/* A number that differs from boot to boot. */
uint32_t hal_nonce(void);

uint64_t hal_chip_id(void);
uint32_t hal_reset_reason(void);

/* Receive errors (overrun, framing) since boot. */
uint32_t hal_rx_errors(void);

/* Around what is timed, outside of it. The agent's own definitions do nothing. */
void hal_before_inference(void);
void hal_after_inference(void);

/* Interrupts that were taken between these two since boot; HAL_NOT_COUNTED if nobody counts them. The agent's own
 * definition is 0: on its own boards they are masked. */
#define HAL_NOT_COUNTED 0xFFFFFFFFu
uint32_t hal_interrupts(void);

/* 0, or what keeps the agent from measuring here: INFO tells it instead of what the setup would have returned. */
int hal_problem(void);

/* The pin that tells a power monitor when inferences run. */
void hal_sync_pin(bool high);

#endif
