/* nRF52840 DK (PCA10056): the serial line goes to the on-board J-Link. A pin is 32 for each port, and its number. */
#ifndef BOARD_H
#define BOARD_H

#include "no_usb.h"

#define PIN_TX 6u           /* P0.06, the J-Link's RXD */
#define PIN_RX 8u           /* P0.08, the J-Link's TXD */
#define PIN_HIGH 5u         /* P0.05, RTS: the J-Link takes a high level at the first byte for no flow control */
#define PIN_SYNC (32u + 3u) /* P1.03, marked D2 */
#define BOARD_BAUDRATE 0x10000000u /* 1 Mbaud, which the J-Link divides its clock to exactly */
#define BOARD_HAS_DCDC 1           /* the inductor of the DC/DC converter */

#endif
