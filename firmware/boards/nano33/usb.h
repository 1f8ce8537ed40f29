/* A serial port on the nRF52840's own USB: a CDC-ACM device that is polled. It takes no interrupt, and moves data only
 * when it is called; meanwhile the hardware answers NAK, which is all the flow control that there is. */
#ifndef USB_H
#define USB_H

#include <stdbool.h>
#include <stdint.h>

#define USB_PACKET 64u

/* Sees to what the host and the supply want; cheap when they want nothing. */
void usb_poll(void);

/* Whether a host is there that takes what is sent. */
bool usb_listening(void);

/* Whether the packet that was sent last has yet to be fetched. */
bool usb_sending(void);

/* Sends a packet of up to USB_PACKET bytes from RAM; only when nothing is being sent. */
void usb_send(const void *from, uint32_t bytes);

/* Whether bytes from the host wait. */
bool usb_waiting(void);

/* Takes up to `most` of them, and returns how many. */
uint32_t usb_take(uint8_t *to, uint32_t most);

#endif
