/* The debug probe as a line. The host writes into RAM, and reads it, through the probe, and only while the CPU sleeps:
 * bytes go straight where they are wanted, and answers are read from where they lie. docs/link-protocol.md has the
 * host's side. A board whose hal.c calls these has the line; it takes an interrupt that nothing else uses. */
#ifndef HIL_MAILBOX_H
#define HIL_MAILBOX_H

#include <stdbool.h>
#include <stdint.h>

#define HIL_MAILBOX_ID 0x424D4948u /* "HIMB" */
#define HIL_MAILBOX_HEADER 16u

/* Word 10 of the vector table, which the architecture reserves, tells the host where it is. */
struct hil_mailbox {
    uint32_t id;         /* HIL_MAILBOX_ID once all the rest is valid */
    uint32_t boot;       /* differs from boot to boot */
    uint32_t doorbell;   /* number of the interrupt that the host sets pending when it has done something */
    uint32_t wanted;     /* number of the offer: the next `room` bytes from the host go to `place` */
    uint8_t *place;
    uint32_t room;
    uint32_t sent;       /* number of the answer: `bytes` bytes at `from` */
    const uint8_t *from;
    uint32_t bytes;
    uint32_t crc;        /* CRC-32 of `boot` to `bytes` */
    volatile uint32_t filled; /* written by the host: the offer that it has filled, all of it */
    volatile uint32_t taken;  /* written by the host: the answer that it has read */
    uint8_t header[HIL_MAILBOX_HEADER];
};

extern struct hil_mailbox hil_mailbox;

/* Publishes the mailbox, which wants a header. Offers and answers are numbered from `boot` on, so that what the host wrote
 * before a reset means nothing after it. */
void hil_mailbox_open(uint32_t doorbell, uint32_t boot);

/* Wants exactly `bytes` bytes. Ends an offer that was not filled. */
void hil_mailbox_offer(uint8_t *place, uint32_t bytes);

/* Whether they are here. */
bool hil_mailbox_filled(void);

/* Lets the host read `bytes` bytes, which must stay as they are until it has. */
void hil_mailbox_post(const uint8_t *from, uint32_t bytes);

/* Whether it has. */
bool hil_mailbox_taken(void);

#endif
