/* A board whose serial line is a pseudo-terminal: what its HAL offers to the stand-in for a model. */
#ifndef PTY_BOARD_H
#define PTY_BOARD_H

#include <stdint.h>

/* Computes for `cycles` of the board's clock: its counter advances, and no CPU of this computer is used. */
void pty_board_compute(uint32_t cycles);

#endif
