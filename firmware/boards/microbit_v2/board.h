/* BBC micro:bit V2: the serial line goes to the on-board interface (DAPLink). A pin is 32 for each port, and its number. */
#ifndef BOARD_H
#define BOARD_H

#include "no_usb.h"

#define PIN_TX 6u           /* P0.06, UART_INT_RX */
#define PIN_RX (32u + 8u)   /* P1.08, UART_INT_TX */
#define PIN_SYNC 2u         /* P0.02, the ring marked 0 */
/* 230,400 baud, which both interfaces that boards have come close to: the KL27 divides 48 MHz by 16 x 13, and the nRF52820
 * is too slow to be sure of each byte at 1 Mbaud. */
#define BOARD_BAUDRATE 0x03B00000u
#define BOARD_HAS_DCDC 0 /* there is no inductor: the converter must stay off */

#endif
