/* Arduino Uno: the serial line goes to the chip beside it, which has the USB port. */
#ifndef BOARD_H
#define BOARD_H

#define CORE_HZ 16000000u
#define BAUD 500000u
#define SYNC_PORT PORTD
#define SYNC_DIRECTION DDRD
#define SYNC_BIT PORTD2 /* marked 2 */

#endif
