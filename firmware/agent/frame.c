#include "frame.h"

#include <string.h>

#include "agent.h"
#include "crc32.h"
#include "hil_hal.h"
#include "hil_limits.h"

#define MAGIC 0x4C48u

uint32_t frame_nonce;

static DMA uint8_t outgoing[HIL_SENT_AT_ONCE];
static uint32_t outgoing_used;
static uint32_t outgoing_crc;

static void flush(void)
{
    if (outgoing_used != 0) {
        hal_tx(outgoing, outgoing_used);
        outgoing_used = 0;
    }
}

void put(const void *data, uint32_t bytes)
{
    const uint8_t *p = data;
    outgoing_crc = hil_crc32(outgoing_crc, data, bytes);
    while (bytes != 0) {
        uint32_t piece = sizeof outgoing - outgoing_used;
        if (piece > bytes) {
            piece = bytes;
        }
        memcpy(outgoing + outgoing_used, p, piece);
        outgoing_used += piece;
        p += piece;
        bytes -= piece;
        if (outgoing_used == sizeof outgoing) {
            flush();
        }
    }
}

#ifdef __AVR__
void put_flash(const HIL_FLASH void *data, uint32_t bytes)
{
    for (const HIL_FLASH uint8_t *p = data; bytes != 0; --bytes) {
        const uint8_t byte = *p++;
        put(&byte, sizeof byte);
    }
}
#endif

void put_u32(uint32_t value)
{
    put(&value, sizeof value);
}

static uint32_t header_crc(const struct header *header)
{
    return hil_crc32(0, header, sizeof *header - CRC_BYTES);
}

struct header make_header(enum reply type, enum reason status, uint16_t seq, uint32_t length)
{
    struct header header = {
        .magic = MAGIC,
        .type = (uint8_t)type,
        .status = (uint8_t)status,
        .seq = seq,
        .length = (uint16_t)length,
        .arg = frame_nonce,
    };
    header.crc = header_crc(&header);
    return header;
}

bool header_intact(const struct header *header)
{
    return header->magic == MAGIC && header->crc == header_crc(header);
}

void begin(enum reply type, enum reason status, uint16_t seq, uint32_t length)
{
    const struct header header = make_header(type, status, seq, length);
    put(&header, sizeof header);
    outgoing_crc = 0;
}

void finish(void)
{
    put_u32(outgoing_crc);
    flush();
}

void send_bare(enum reply type, enum reason status, uint16_t seq)
{
    begin(type, status, seq, 0);
    flush();
}

void drop_frame(void)
{
    outgoing_used = 0;
}
