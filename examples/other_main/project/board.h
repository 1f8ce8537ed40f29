/* What the project has of drivers, for the nRF52840: clocks, a serial line by DMA, a clock of milliseconds, a pin. */
#ifndef BOARD_H
#define BOARD_H

#include <stdbool.h>
#include <stdint.h>

void board_init(void);
uint32_t board_milliseconds(void);

/* Receives by DMA: the first call for a place begins a transfer of `most` bytes to it and returns 0, as do all until it is
 * done; then it returns `most`. */
uint32_t board_read(void *to, uint32_t most);

/* Sends `bytes` bytes, in RAM, and waits until they have left it. */
void board_write(const void *from, uint32_t bytes);

void board_pin(bool high);

/* The chip's own number, and why it was reset. */
uint64_t board_chip_id(void);
uint32_t board_reset_reason(void);

#endif
