/* The agent: answers the host over the link, and runs and times the model. docs/link-protocol.md is the contract. */
#ifndef HIL_AGENT_H
#define HIL_AGENT_H

#include <stdint.h>

/* Registers at a fault, in the order of the FAULT payload. */
struct hil_fault {
    uint32_t pc, lr, psr, sp, cfsr, hfsr, mmfar, bfar;
};

/* Filled by the board's fault handler; read through the probe where the link is silent. */
extern struct hil_fault hil_fault_record;

/* Sends hil_fault_record. Called from the fault handler, on a fresh stack. */
void hil_agent_fault(void);

#endif
