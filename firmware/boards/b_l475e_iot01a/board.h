/* B-L475E-IOT01A: the serial line goes to the on-board ST-LINK. */
#ifndef BOARD_H
#define BOARD_H

#include "stm32l475.h"

#define GPIO_UART GPIOB /* PB6 and PB7, alternate function 7: USART1 */
#define PIN_TX 6u
#define PIN_RX 7u
#define AF_UART 7u
#define GPIO_SYNC GPIOA /* PA4, marked D7 */
#define PIN_SYNC 4u
#define BAUD 1000000u

#endif
