#include "hil_mailbox.h"

#include <stddef.h>

#include "crc32.h"

#ifndef __AVR__ /* which has no debug probe */

struct hil_mailbox hil_mailbox;

static void barrier(void)
{
    __asm volatile("dmb" ::: "memory");
}

/* The CRC keeps the host from writing to a place that it has misread. */
static void publish(void)
{
    const size_t first = offsetof(struct hil_mailbox, boot);
    hil_mailbox.crc = hil_crc32(0, &hil_mailbox.boot, offsetof(struct hil_mailbox, crc) - first);
    barrier();
}

void hil_mailbox_open(uint32_t doorbell, uint32_t boot)
{
    hil_mailbox.boot = boot;
    hil_mailbox.doorbell = doorbell;
    hil_mailbox.wanted = hil_mailbox.filled = boot;
    hil_mailbox.sent = hil_mailbox.taken = boot;
    hil_mailbox_offer(hil_mailbox.header, HIL_MAILBOX_HEADER);
    hil_mailbox.id = HIL_MAILBOX_ID;
    barrier();
}

void hil_mailbox_offer(uint8_t *place, uint32_t bytes)
{
    ++hil_mailbox.wanted;
    hil_mailbox.place = place;
    hil_mailbox.room = bytes;
    publish();
}

bool hil_mailbox_filled(void)
{
    const bool filled = hil_mailbox.filled == hil_mailbox.wanted;
    barrier(); /* nothing of the bytes may be read before this point */
    return filled;
}

void hil_mailbox_post(const uint8_t *from, uint32_t bytes)
{
    ++hil_mailbox.sent;
    hil_mailbox.from = from;
    hil_mailbox.bytes = bytes;
    publish();
}

bool hil_mailbox_taken(void)
{
    return hil_mailbox.taken == hil_mailbox.sent;
}

#endif
