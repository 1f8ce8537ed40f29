/* NUCLEO-L4R5ZI: the serial line goes to the on-board ST-LINK. */
#ifndef BOARD_H
#define BOARD_H

#include "stm32l4r5.h"

#define GPIO_UART GPIOG /* PG7 and PG8, alternate function 8: LPUART1 */
#define PIN_TX 7u
#define PIN_RX 8u
#define AF_UART 8u
#define GPIO_SYNC GPIOF /* PF13, marked D7 */
#define PIN_SYNC 13u
#define BAUD 1000000u

#endif
