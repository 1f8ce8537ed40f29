/* The agent: answers the host over the link, and runs and times the model. docs/link-protocol.md is the contract. */
#ifndef HIL_AGENT_H
#define HIL_AGENT_H

#include <stdbool.h>
#include <stdint.h>

#include "frame.h"

/* The agent is a task: main() calls these, its own or that of somebody else's program (program/hil_program.h). */

/* Sets up board and model, and tells the host what runs. Once. */
void hil_agent_init(void);

/* Answers what has come, and measures if that is asked; false if nothing has come. It never waits for the host where
 * hal_rx_ready() tells the truth. */
bool hil_agent_poll(void);

/* Buffers that DMA touches lie in RAM blocks of their own (section .dma), so that a transfer doesn't compete
 * with the inference for a memory port and disturb the cycle count. */
#define DMA __attribute__((section(".dma"), aligned(4)))

/* Registers at a fault, in the order of the FAULT payload. */
struct hil_fault {
    uint32_t pc, lr, psr, sp, cfsr, hfsr, mmfar, bfar;
};

/* Filled by the board's fault handler; read through the probe where the link is silent. */
extern struct hil_fault hil_fault_record;

/* Sends hil_fault_record. Called from the fault handler, on a fresh stack. */
void hil_agent_fault(void);

/* What stream.c needs of the agent. */

/* Waits for a header from here on. */
void agent_await_header(void);

/* Waits for a header, and says that a request was refused. */
void agent_refuse(enum reason reason, uint16_t seq);

/* Copies an input, all tensors, to the model's, after resetting the state if that is wanted. False if it can't be reset. */
bool agent_load(const uint8_t *from, bool reset, uint32_t *crc);

/* Looks at the coarse clock. Before one inference, or several. */
void agent_begin_inferences(void);

/* Runs one inference on what is loaded. */
enum reason agent_infer(uint32_t *ticks);

/* Copies the outputs, all tensors. */
void agent_copy_outputs(uint8_t *to);

#endif
