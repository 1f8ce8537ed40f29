/* Raspberry Pi Pico: the serial line goes to a debug probe's. Its Debug Probe fetches byte by byte and may drop what it
 * can't hold, so the rate isn't the highest; both sides make this one to 0.01 %. */
#ifndef BOARD_H
#define BOARD_H

#define PIN_TX 0u /* GP0, pin 1 */
#define PIN_RX 1u /* GP1, pin 2 */
#define PIN_SYNC 2u /* GP2, pin 4 */
#define BAUD 460800u

#endif
