/* Frames on the wire, as docs/link-protocol.md has them, and sending them. */
#ifndef HIL_FRAME_H
#define HIL_FRAME_H

#include "hil_flash.h"

#include <stdbool.h>
#include <stdint.h>

#define CRC_BYTES 4u
#define MAX_PAYLOAD 65531u

enum request {
    HELLO = 0x01,
    PING = 0x02,
    WRITE = 0x03,
    RUN = 0x04,
    STATS = 0x05,
    ECHO_BACK = 0x06,
    PROFILE = 0x07,
    STREAM = 0x08,
    AGAIN = 0x09,
};
enum reply { INFO = 0x81, CREDIT, ACK, NAK, RESULT, STATS_REPLY, ECHO_REPLY, FAULT, PROFILE_REPLY, RESULTS };
enum reason {
    OK,
    DAMAGED_HEADER,
    DAMAGED_PAYLOAD,
    UNKNOWN_TYPE,
    OUT_OF_RANGE,
    INFERENCE_FAILED,
    COUNTER_WRAPPED,
    NO_LAYERS,
    TOO_MANY_LAYERS,
    SETUP_FAILED, /* of an INFO */
    NOT_RUN,
};

struct header {
    uint16_t magic;
    uint8_t type;
    uint8_t status;
    uint16_t seq;
    uint16_t length;
    uint32_t arg;
    uint32_t crc;
};
_Static_assert(sizeof(struct header) == 16, "the header is a wire format");

/* Sent with every frame; set once after boot. */
extern uint32_t frame_nonce;

struct header make_header(enum reply type, enum reason status, uint16_t seq, uint32_t length);
bool header_intact(const struct header *header);

/* A frame goes out in pieces, because DMA reads only RAM and much of what is sent lies in flash: begin() a frame, `length`
 * bytes of put(), finish(). */
void begin(enum reply type, enum reason status, uint16_t seq, uint32_t length);
void put(const void *data, uint32_t bytes);
void put_u32(uint32_t value);
void finish(void);

/* put() of what lies in flash. */
#ifdef __AVR__
void put_flash(const HIL_FLASH void *data, uint32_t bytes);
#else
#define put_flash put
#endif

/* A frame without a payload. */
void send_bare(enum reply type, enum reason status, uint16_t seq);

/* Forgets a frame that was begun. */
void drop_frame(void);

#endif
