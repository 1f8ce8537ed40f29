/* NUCLEO-H743ZI: the serial line goes to the on-board ST-LINK. */
#ifndef BOARD_H
#define BOARD_H

#define GPIO_UART GPIOD /* PD8 and PD9, alternate function 7: USART3 */
#define PIN_TX 8u
#define PIN_RX 9u
#define AF_UART 7u
#define GPIO_SYNC GPIOE /* PE14, marked D4 */
#define PIN_SYNC 14u
#define BAUD 1000000u

#endif
