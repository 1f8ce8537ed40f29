/* Arduino Nano 33 BLE (Sense): the serial line on the pins marked TX and RX, and the board's own USB. A pin is 32 for
 * each port, and its number. */
#ifndef BOARD_H
#define BOARD_H

#include "usb.h"

#define PIN_TX (32u + 3u)    /* P1.03, marked TX1 */
#define PIN_RX (32u + 10u)   /* P1.10, marked RX0 */
#define PIN_SYNC (32u + 11u) /* P1.11, marked D2 */
#define BOARD_BAUDRATE 0x10000000u /* 1 Mbaud */
#define BOARD_HAS_DCDC 1           /* the inductor of the DC/DC converter */

#endif
