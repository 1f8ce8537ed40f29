#include "stream.h"

#include <string.h>

#include "agent.h"
#include "crc32.h"
#include "hil_hal.h"

#if HIL_STREAMS

#define MOST_INPUTS 32u /* as many as there are bits that say which of them begin with a reset */
#define MASK_BYTES 4u
#define COUNT_BYTES 4u
#define RESULT_BYTES 8u /* without the output */
#define ALIGNED(bytes) (((bytes) + 3u) & ~3u)

/* Two of them: while the board computes one frame's inputs, the next frame is received. The results stay until the frame
 * after the next one has come undamaged: the host sends that one only when it has them. */
struct slot {
    uint8_t *frame;   /* header, mask, inputs, CRC */
    uint8_t *results; /* a whole frame, ready to be sent */
    uint32_t result_bytes;
    uint16_t seq; /* that the results answer; 0: there are none */
    uint16_t failure; /* after which nothing more of the frame was run */
    uint32_t done;    /* inputs that were run before it */
};

struct stream {
    struct slot slots[2];
    uint32_t input_bytes, output_bytes, most;
    uint32_t granted; /* inputs of the frame that is awaited; 0: none is */
    uint32_t at;      /* the slot for it */
};

/* It lies in the spare RAM itself. */
static struct stream *stream_state(void)
{
    return (struct stream *)(void *)__spare_bottom;
}

static uint32_t payload_bytes(uint32_t inputs)
{
    return MASK_BYTES + inputs * stream_state()->input_bytes;
}

static uint32_t frame_bytes(uint32_t inputs)
{
    return sizeof(struct header) + payload_bytes(inputs) + CRC_BYTES;
}

void stream_init(uint32_t input_bytes, uint32_t output_bytes)
{
    const uint32_t spare = (uint32_t)((uintptr_t)__spare_top - (uintptr_t)__spare_bottom);
    const uint32_t fixed = ALIGNED(sizeof(struct header) + MASK_BYTES + CRC_BYTES + HAL_RX_GUARD + 3u) +
                           ALIGNED(sizeof(struct header) + COUNT_BYTES + CRC_BYTES + 3u);
    const uint32_t each = input_bytes + RESULT_BYTES + output_bytes;
    if (spare <= sizeof(struct stream)) {
        return;
    }
    struct stream *stream = stream_state();
    *stream = (struct stream){.input_bytes = input_bytes, .output_bytes = output_bytes};
    if (input_bytes == 0) {
        return;
    }
    const uint32_t half = ((spare - sizeof *stream) / 2u) & ~3u;
    uint32_t most = half <= fixed ? 0 : (half - fixed) / each;
    if (most > (MAX_PAYLOAD - sizeof(struct header) - MASK_BYTES) / each) {
        most = (MAX_PAYLOAD - sizeof(struct header) - MASK_BYTES) / each; /* DMA counts in 16 bits */
    }
    stream->most = most < MOST_INPUTS ? most : MOST_INPUTS;
    for (uint32_t i = 0; i < 2; ++i) {
        stream->slots[i].frame = __spare_bottom + sizeof *stream + i * half;
        stream->slots[i].results = stream->slots[i].frame + ALIGNED(frame_bytes(stream->most) + HAL_RX_GUARD);
    }
}

uint32_t stream_most(void)
{
    return (uintptr_t)__spare_top - (uintptr_t)__spare_bottom <= sizeof(struct stream) ? 0 : stream_state()->most;
}

static uint32_t inputs_of(const struct header *request)
{
    return (request->length - MASK_BYTES) / stream_state()->input_bytes;
}

/* Whether a request fits: whole inputs, not too many, and after them not too many either. */
static bool possible(const struct header *request)
{
    const uint32_t most = stream_most();
    return request->seq != 0 && most != 0 && request->arg <= most && request->length > MASK_BYTES &&
           request->length <= payload_bytes(most) && request->length == payload_bytes(inputs_of(request));
}

static bool payload_intact(const uint8_t *payload, uint32_t length)
{
    uint32_t crc;
    memcpy(&crc, payload + length, CRC_BYTES);
    return crc == hil_crc32(0, payload, length);
}

static struct header *header_of(const struct slot *slot)
{
    return (struct header *)(void *)slot->frame;
}

static void send_results(const struct slot *slot)
{
    if (slot->done != 0) {
        hal_tx(slot->results, slot->result_bytes);
    } else {
        send_bare(NAK, (enum reason)slot->failure, slot->seq);
    }
}

void stream_open(const struct header *request)
{
    struct stream *stream = stream_state();
    if (!possible(request)) {
        agent_refuse(OUT_OF_RANGE, request->seq);
        return;
    }
    stream->slots[0].seq = stream->slots[1].seq = 0;
    stream->at = 0;
    stream->granted = inputs_of(request);
    *header_of(&stream->slots[0]) = *request;
    hal_rx_arm(stream->slots[0].frame + sizeof *request, request->length + CRC_BYTES);
    send_bare(CREDIT, OK, request->seq);
}

bool stream_awaits(void)
{
    return stream_most() != 0 && stream_state()->granted != 0;
}

void stream_drop(void)
{
    stream_state()->granted = 0;
    agent_await_header();
}

/* Whether what has come is the frame that was granted. Answers if it isn't. */
static bool accept(const struct slot *slot, uint32_t granted)
{
    const struct header *request = header_of(slot);
    if (!header_intact(request)) {
        agent_refuse(DAMAGED_HEADER, 0);
    } else if (request->type == PING) { /* it ends what the host doesn't go on with; the rest means nothing */
        agent_await_header();
        send_bare(ACK, OK, request->seq);
    } else if (request->type != STREAM || !possible(request) || inputs_of(request) != granted) {
        agent_refuse(OUT_OF_RANGE, request->seq);
    } else if (!payload_intact(slot->frame + sizeof *request, request->length)) {
        agent_refuse(DAMAGED_PAYLOAD, request->seq);
    } else {
        return true;
    }
    return false;
}

bool stream_accept(void)
{
    struct stream *stream = stream_state();
    struct slot *slot = &stream->slots[stream->at];
    const struct slot *before = &stream->slots[stream->at ^ 1u];
    const uint32_t granted = stream->granted;

    stream->granted = 0;
    if (before->seq != 0 && before->failure != OK) { /* what came isn't run */
        agent_await_header();
        send_results(before);
        return false;
    }
    if (!accept(slot, granted)) {
        return false;
    }
    stream->granted = header_of(slot)->arg;
    if (stream->granted != 0) {
        hal_rx_arm(before->frame, frame_bytes(stream->granted));
    } else {
        agent_await_header();
    }
    if (before->seq != 0) {
        send_results(before);
    } else if (stream->granted != 0) {
        send_bare(CREDIT, OK, header_of(slot)->seq);
    }
    return true;
}

void stream_compute(void)
{
    struct stream *stream = stream_state();
    struct slot *slot = &stream->slots[stream->at];
    const uint8_t *input = slot->frame + sizeof(struct header) + MASK_BYTES;
    uint8_t *result = slot->results + sizeof(struct header) + COUNT_BYTES;

    slot->seq = 0; /* the old results are about to be overwritten */
    slot->failure = OK;
    agent_begin_inferences();
    for (slot->done = 0; slot->done < inputs_of(header_of(slot)); ++slot->done) {
        uint32_t resets, word;
        memcpy(&resets, slot->frame + sizeof(struct header), MASK_BYTES);
        if (slot->done != 0) {
            hal_idle();
        }
        if (!agent_load(input, (resets >> slot->done & 1u) != 0, &word)) {
            slot->failure = INFERENCE_FAILED;
            break;
        }
        memcpy(result, &word, sizeof word);
        hal_sync_pin(true);
        slot->failure = (uint16_t)agent_infer(&word);
        hal_sync_pin(false);
        if (slot->failure != OK) {
            break;
        }
        memcpy(result + sizeof word, &word, sizeof word);
        agent_copy_outputs(result + RESULT_BYTES);
        input += stream->input_bytes;
        result += RESULT_BYTES + stream->output_bytes;
    }
    slot->seq = header_of(slot)->seq;
}

void stream_finish(void)
{
    struct stream *stream = stream_state();
    struct slot *slot = &stream->slots[stream->at];
    const uint32_t length = COUNT_BYTES + slot->done * (RESULT_BYTES + stream->output_bytes);
    const struct header header = make_header(RESULTS, (enum reason)slot->failure, slot->seq, length);
    memcpy(slot->results, &header, sizeof header);
    memcpy(slot->results + sizeof header, &slot->done, COUNT_BYTES);
    const uint32_t crc = hil_crc32(0, slot->results + sizeof header, length);
    memcpy(slot->results + sizeof header + length, &crc, CRC_BYTES);
    slot->result_bytes = sizeof header + length + CRC_BYTES;
    stream->at ^= 1u;
    if (stream->granted == 0) {
        send_results(slot);
    }
}

void stream_again(uint16_t seq)
{
    agent_await_header();
    for (uint32_t i = 0; stream_most() != 0 && seq != 0 && i < 2; ++i) {
        if (stream_state()->slots[i].seq == seq) {
            send_results(&stream_state()->slots[i]);
            return;
        }
    }
    send_bare(NAK, NOT_RUN, seq);
}

#endif
