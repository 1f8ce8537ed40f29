/* Instead of usb.h, for a board whose only serial line is the UART. */
#ifndef NO_USB_H
#define NO_USB_H

#include <stdbool.h>
#include <stdint.h>

#define USB_PACKET 64u

static inline void usb_poll(void)
{
}

static inline bool usb_listening(void)
{
    return false;
}

static inline bool usb_sending(void)
{
    return false;
}

static inline void usb_send(const void *from, uint32_t bytes)
{
    (void)from;
    (void)bytes;
}

static inline bool usb_waiting(void)
{
    return false;
}

static inline uint32_t usb_take(uint8_t *to, uint32_t most)
{
    (void)to;
    (void)most;
    return 0;
}

#endif
