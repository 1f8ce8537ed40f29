#include "agent.h"

#include <string.h>

#include "crc32.h"
#include "hil_flash.h"
#include "hil_hal.h"
#include "hil_layers.h"
#include "hil_limits.h"
#include "hil_memory.h"
#include "hil_model.h"
#include "model_config.h"
#include "stream.h"

#define PROTOCOL_VERSION 1u
#if defined(__AVR__)
#define COUNTER 3u /* Timer/Counter1 */
#elif defined(__ARM_ARCH_6M__)
#define COUNTER 2u /* SysTick: the DWT of Armv6-M has no cycle counter */
#else
#define COUNTER 1u /* CYCCNT of the DWT */
#endif
#define MAX_BATCH HIL_MOST_INFERENCES
#define MAX_LAYERS HIL_MAX_LAYERS /* they share ticks[] */
#define MAX_NAME 31u
#define MAX_CHUNK (HIL_INPUT_BYTES < HIL_MOST_RECEIVED ? HIL_INPUT_BYTES : HIL_MOST_RECEIVED)
#define INFO_BYTES 44u /* without build id and card */
#define RESET_STATE (UINT32_C(1) << 31) /* in the argument of a RUN */
#if defined(HIL_PROGRAM) || defined(__AVR__)
#define RECEIVES_MEANWHILE false /* what comes during an inference would interrupt it */
#else
#define RECEIVES_MEANWHILE true
#endif
#define TENSORS_TOO_LARGE (-1002) /* told instead of what the setup returned */

_Static_assert(MAX_LAYERS <= MAX_BATCH, "they share ticks[]");
_Static_assert(4u * MAX_BATCH + 12u + HIL_OUTPUT_BYTES <= MAX_PAYLOAD, "a RESULT or PROFILE must fit into one frame");

DMA uint8_t hil_input[HIL_INPUT_BYTES + CRC_BYTES + HAL_RX_GUARD]; /* the waiting input */
static DMA union {
    struct header header;
    uint8_t bytes[sizeof(struct header) + HAL_RX_GUARD];
} incoming;

static struct hil_model model;
static const struct hil_tensor no_more;
static int setup_status;
static uint32_t overhead; /* ticks of an empty measurement */
static uint32_t coarse; /* the coarse clock, before an inference */
static uint32_t measured; /* inferences since boot */
static uint32_t damaged_headers, damaged_payloads;
static uint32_t ticks[MAX_BATCH];

/* What the last executed RUN answered, for repetitions of the same request. Its output is still in the tensor. */
static struct {
    uint16_t seq;
    uint32_t count;
    uint32_t input_crc;
} last_run;

struct hil_fault hil_fault_record;

extern const HIL_FLASH uint8_t __build_id_note[]; /* .note.gnu.build-id: name size, descriptor size, type, "GNU\0", id */

static uint32_t build_id_bytes(void)
{
    uint32_t size;
    hil_from_flash(&size, __build_id_note + 4, sizeof size);
    return size;
}

/* For models without state. */
__attribute__((weak)) int hil_model_reset(void)
{
    return 0;
}

/* For engines that can't tell. */
__attribute__((weak)) uint32_t hil_model_arena_used(void)
{
    return 0;
}

/* For boards of the agent's own, where nothing else runs. */
__attribute__((weak)) bool hal_rx_ready(void)
{
    return true;
}

__attribute__((weak)) int hal_problem(void)
{
    return 0;
}

__attribute__((weak)) void hal_before_inference(void)
{
}

__attribute__((weak)) void hal_after_inference(void)
{
}

__attribute__((weak)) uint32_t hal_interrupts(void)
{
    return 0;
}

static uint32_t total(uint32_t first, const struct hil_tensor *more)
{
    for (; more->bytes != 0; ++more) {
        first += more->bytes;
    }
    return first;
}

static uint32_t output_bytes(void)
{
    return total(model.output_bytes, model.more_outputs);
}

/* ---- sending */

/* Not inlined: what main() needs of the stack counts as the model's, too. */
#define DEEP __attribute__((noinline))

static inline void put_card(void)
{
#ifdef __AVR__
    if (setup_status != 0) { /* which isn't in flash */
        put(&setup_status, sizeof setup_status);
        return;
    }
#endif
    put_flash(model.card, model.card_bytes);
}

/* `more`: whether the host knows what may follow the card. */
static DEEP void send_info(uint16_t seq, bool more)
{
    const uint32_t id_bytes = build_id_bytes();
    if (id_bytes > UINT8_MAX || model.card_bytes > MAX_PAYLOAD - INFO_BYTES - id_bytes) {
        send_bare(NAK, OUT_OF_RANGE, seq); /* its length would not fit into the header */
        return;
    }
    uint32_t bytes = INFO_BYTES + id_bytes + model.card_bytes;
    more = more && setup_status == 0 && bytes <= MAX_PAYLOAD - sizeof bytes;
    bytes += more ? sizeof bytes : 0;
    const uint64_t chip = hal_chip_id();
    const uint8_t start[4] = {PROTOCOL_VERSION, 0, COUNTER, (uint8_t)id_bytes};

    begin(INFO, setup_status == 0 ? OK : SETUP_FAILED, seq, bytes);
    put(start, sizeof start);
    put_u32(hal_counter_hz());
    put_u32(overhead);
    put_u32(total(model.input_bytes, model.more_inputs));
    put_u32(output_bytes());
    put_u32(MAX_CHUNK);
    put_u32(MAX_BATCH);
    put_u32(model.card_bytes);
    put_u32(hal_reset_reason());
    put(&chip, sizeof chip);
    put_flash(__build_id_note + 16, id_bytes);
    put_card();
    if (more) {
        put_u32(stream_most());
    }
    finish();
}

static void put_outputs(void)
{
    put(model.output, model.output_bytes);
    for (const struct hil_tensor *more = model.more_outputs; more->bytes != 0; ++more) {
        put(more->data, more->bytes);
    }
}

static void send_result(void)
{
    begin(RESULT, OK, last_run.seq, 8u + 4u * last_run.count + output_bytes());
    put_u32(last_run.input_crc);
    put_u32(last_run.count);
    put(ticks, 4u * last_run.count);
    put_outputs();
    finish();
}

/* `more`: whether the host knows what may follow. */
static void send_stats(uint16_t seq, bool more)
{
    begin(STATS_REPLY, OK, seq, more ? 40 : 32);
    put_u32(hil_stack_bytes());
    put_u32(hil_stack_used());
    put_u32(hil_heap_bytes());
    put_u32(hil_heap_used());
    put_u32(damaged_headers);
    put_u32(damaged_payloads);
    put_u32(hal_rx_errors());
    put_u32(setup_status == 0 ? hil_model_arena_used() : 0u);
    if (more) {
        put_u32(measured);
        put_u32(hal_interrupts());
    }
    finish();
}

void hil_agent_fault(void)
{
    drop_frame();
    begin(FAULT, OK, 0, sizeof hil_fault_record);
    put(&hil_fault_record, sizeof hil_fault_record);
    finish();
}

/* ---- receiving */

void agent_await_header(void)
{
    hal_rx_arm(incoming.bytes, sizeof(struct header));
}

void agent_refuse(enum reason reason, uint16_t seq)
{
    if (reason == DAMAGED_HEADER) {
        ++damaged_headers;
    } else if (reason == DAMAGED_PAYLOAD) {
        ++damaged_payloads;
    }
    agent_await_header();
    send_bare(NAK, reason, seq);
}

/* A payload that is awaited, in the waiting input. Its CRC lands on what lies behind the chunk, which may be the start of
 * another chunk; so those bytes are kept. */
static struct {
    uint8_t *place;
    uint32_t length; /* 0: none is awaited */
    uint16_t seq;
    uint8_t type;    /* of the request that it belongs to */
    uint8_t failure; /* of the inference that ran meanwhile */
    uint8_t behind[CRC_BYTES];
} payload;

static void grant(const struct header *request, uint32_t offset)
{
    payload.place = hil_input + offset;
    payload.length = request->length;
    payload.seq = request->seq;
    payload.type = request->type;
    payload.failure = OK;
    memcpy(payload.behind, payload.place + payload.length, CRC_BYTES);
    hal_rx_arm(payload.place, payload.length + CRC_BYTES);
    send_bare(CREDIT, OK, request->seq);
}

/* Takes the payload, and answers its request. `whole`: whether all of it has come. */
static DEEP void take_payload(bool whole)
{
    const uint32_t length = payload.length;
    uint8_t *const behind = payload.place + length;
    uint32_t crc;
    enum reason failure = (enum reason)payload.failure;
    payload.length = 0;
    agent_await_header();
    memcpy(&crc, behind, CRC_BYTES);
    memcpy(behind, payload.behind, CRC_BYTES);
    if (!whole || crc != hil_crc32(0, payload.place, length)) {
        ++damaged_payloads;
        failure = failure == OK ? DAMAGED_PAYLOAD : failure;
    }
    if (failure != OK) {
        send_bare(NAK, failure, payload.seq);
    } else if (payload.type != ECHO_BACK) {
        send_bare(ACK, OK, payload.seq);
    } else {
        begin(ECHO_REPLY, OK, payload.seq, length);
        put(payload.place, length);
        finish();
    }
}

/* ---- requests */

static bool in_range(uint32_t offset, uint32_t length)
{
    return length <= MAX_CHUNK && offset <= HIL_INPUT_BYTES && length <= HIL_INPUT_BYTES - offset;
}

/* WRITE, and ECHO, whose place is the beginning. */
static DEEP void do_write(const struct header *request, uint32_t offset)
{
    if (request->length == 0 || !in_range(offset, request->length)) {
        agent_refuse(OUT_OF_RANGE, request->seq);
    } else {
        grant(request, offset);
    }
}

/* Whether the model reads its input where it arrives. */
static bool in_place(void)
{
    return model.input == hil_input;
}

static uint32_t inputs_crc(void)
{
    uint32_t crc = hil_crc32(0, model.input, model.input_bytes);
    for (const struct hil_tensor *more = model.more_inputs; more->bytes != 0; ++more) {
        crc = hil_crc32(crc, more->data, more->bytes);
    }
    return crc;
}

/* Copies an input to the model's tensors, after resetting the state if that is wanted. */
static bool load_inputs(const uint8_t *from, bool reset)
{
    const bool ready = !reset || hil_model_reset() == 0;
    if (!in_place()) {
        memcpy(model.input, from, model.input_bytes);
    }
    from += model.input_bytes;
    for (const struct hil_tensor *more = model.more_inputs; more->bytes != 0; ++more) {
        memcpy(more->data, from, more->bytes);
        from += more->bytes;
    }
    return ready;
}

bool agent_load(const uint8_t *from, bool reset, uint32_t *crc)
{
    last_run.seq = 0; /* its output is about to be overwritten */
    const bool ready = load_inputs(from, reset);
    *crc = inputs_crc();
    return ready;
}

/* A difference of two counter values is right as long as the counter went round less than once in between; the coarse
 * clock, read outside of the timed region, tells when it may have gone round more often. */
static bool may_have_wrapped(void)
{
    const uint32_t before = coarse;
    coarse = hal_coarse_ticks();
    return coarse - before >= HAL_COARSE_TICKS_PER_WRAP - 1u;
}

void agent_begin_inferences(void)
{
    coarse = hal_coarse_ticks();
}

enum reason agent_infer(uint32_t *spent)
{
    hal_before_inference();
    const uint32_t start = hal_ticks();
    const int status = hil_model_invoke();
    *spent = hil_ticks_less(hal_ticks() - start, overhead);
    hal_after_inference();
    ++measured;
    if (status != 0) {
        return INFERENCE_FAILED;
    }
    return may_have_wrapped() ? COUNTER_WRAPPED : OK;
}

void agent_copy_outputs(uint8_t *to)
{
    memcpy(to, model.output, model.output_bytes);
    to += model.output_bytes;
    for (const struct hil_tensor *more = model.more_outputs; more->bytes != 0; ++more) {
        memcpy(to, more->data, more->bytes);
        to += more->bytes;
    }
}

/* Runs `count` inferences on the loaded input; before each but the first it is loaded again, and the state reset. */
static enum reason infer(uint32_t count, bool reset)
{
    enum reason failure = OK;
    hal_sync_pin(true);
    agent_begin_inferences();
    for (uint32_t i = 0; i < count && failure == OK; ++i) {
        if (i != 0) {
            hal_idle();
            if (!load_inputs(hil_input, reset)) {
                failure = INFERENCE_FAILED;
                break;
            }
        }
        failure = agent_infer(&ticks[i]);
    }
    hal_sync_pin(false);
    return failure;
}

static DEEP void do_run(const struct header *request)
{
    const uint32_t count = request->arg & ~RESET_STATE;
    const bool reset = count != request->arg;
    const bool streaming = request->length != 0;

    /* A RUN numbered 0 could not be told from one that was never executed. */
    if (request->seq == 0 || count == 0 || count > MAX_BATCH ||
        (streaming && (count != 1 || in_place() || !in_range(0, request->length)))) {
        agent_refuse(OUT_OF_RANGE, request->seq);
        return;
    }
    if (request->seq == last_run.seq && !streaming) {
        agent_await_header();
        send_result();
        return;
    }
    last_run.seq = 0; /* the old result is about to be overwritten */
    if (!load_inputs(hil_input, reset)) {
        agent_refuse(INFERENCE_FAILED, request->seq);
        return;
    }
    last_run.input_crc = inputs_crc();
    if (streaming && RECEIVES_MEANWHILE) {
        grant(request, 0);
    } else if (!streaming) {
        agent_await_header();
    }
    const enum reason failure = infer(count, reset);
    if (streaming && !RECEIVES_MEANWHILE) {
        grant(request, 0);
    }
    if (failure == OK) {
        last_run.seq = request->seq;
        last_run.count = count;
        send_result();
    } else if (!streaming) {
        send_bare(NAK, failure, request->seq);
    }
    payload.failure = (uint8_t)failure; /* told once the next input is here */
}

static enum reason measure_layers(struct hil_layers *layers)
{
    agent_begin_inferences();
    hal_before_inference();
    const int status = hil_layers_measure(ticks, MAX_LAYERS, overhead, layers);
    hal_after_inference();
    ++measured;
    switch (status) {
    case 0:
        return may_have_wrapped() ? COUNTER_WRAPPED : OK;
    case HIL_NO_LAYERS:
        return NO_LAYERS;
    case HIL_TOO_MANY_LAYERS:
        return TOO_MANY_LAYERS;
    default:
        return INFERENCE_FAILED;
    }
}

/* Names travel in fields of one size, filled up with zeros; of a longer one the beginning. */
static uint32_t names_bytes(const struct hil_layers *layers)
{
    return layers->names == NULL ? 0 : layers->count * (MAX_NAME + 1u);
}

/* Keeps nothing: a repeated request is measured again, so it begins with a reset of the state. The sync pin stays low, because the marks cost energy too. */
static DEEP void do_profile(const struct header *request)
{
    struct hil_layers layers;
    agent_await_header();
    last_run.seq = 0; /* its ticks are about to be overwritten */
    const bool ready = load_inputs(hil_input, request->arg == 0);
    const uint32_t input_crc = inputs_crc();
    const enum reason failure = ready ? measure_layers(&layers) : INFERENCE_FAILED;
    if (failure != OK) {
        send_bare(NAK, failure, request->seq);
        return;
    }
    const uint32_t bytes = 12u + 4u * layers.count + output_bytes();
    const uint32_t names = names_bytes(&layers);
    const bool named = names <= MAX_PAYLOAD - bytes;
    begin(PROFILE_REPLY, OK, request->seq, named ? bytes + names : bytes);
    put_u32(input_crc);
    put_u32(layers.total);
    put_u32(layers.count);
    put(ticks, 4u * layers.count);
    put_outputs();
    for (uint32_t i = 0; named && i < names / (MAX_NAME + 1u); ++i) {
        char name[MAX_NAME + 1u] = {0};
        strncpy(name, layers.names[i] == NULL ? "" : layers.names[i], MAX_NAME);
        put(name, sizeof name);
    }
    finish();
}

#if HIL_STREAMS
static void take_stream(bool whole)
{
    if (!whole) {
        stream_drop();
    } else if (stream_accept()) {
        stream_compute();
        stream_finish();
    }
}
#endif

/* Answers what has come; false if nothing has. Inlined: what main() needs of the stack counts as the model's, too. */
static inline __attribute__((always_inline)) bool serve(void)
{
    struct header request;
    if (!hal_rx_ready()) {
        return false;
    }
    const bool whole = hal_rx_wait();
#if HIL_STREAMS
    if (stream_awaits()) {
        take_stream(whole);
        return true;
    }
#endif
    if (payload.length != 0) {
        take_payload(whole);
        return true;
    }
    if (!whole) {
        agent_await_header();
        return true;
    }
    request = incoming.header;
    if (!header_intact(&request)) {
        agent_refuse(DAMAGED_HEADER, 0);
        return true;
    }
    if (setup_status != 0 && (request.type == RUN || request.type == PROFILE || request.type == STREAM)) {
        agent_refuse(INFERENCE_FAILED, request.seq); /* there may be no tensors to copy an input to */
        return true;
    }
    switch ((enum request)request.type) {
    case WRITE:
        do_write(&request, request.arg);
        return true;
    case RUN:
        do_run(&request);
        return true;
    case ECHO_BACK:
        do_write(&request, 0);
        return true;
    case PROFILE:
        do_profile(&request);
        return true;
#if HIL_STREAMS
    case STREAM:
        stream_open(&request);
        return true;
    case AGAIN:
        stream_again(request.seq);
        return true;
#else
    case STREAM:
    case AGAIN:
        break;
#endif
    case HELLO:
        agent_await_header();
        send_info(request.seq, request.arg == 1);
        return true;
    case PING:
        agent_await_header();
        send_bare(ACK, OK, request.seq);
        return true;
    case STATS:
        agent_await_header();
        send_stats(request.seq, request.arg == 1);
        return true;
    }
    agent_refuse(UNKNOWN_TYPE, request.seq);
    return true;
}

DEEP void hil_agent_init(void)
{
    hal_init();
    setup_status = hal_problem();
    if (setup_status == 0) {
        setup_status = hil_model_setup(&model);
    }
    if (setup_status == 0) {
        setup_status = hil_model_reset();
    }
    if (model.more_inputs == NULL) {
        model.more_inputs = &no_more;
    }
    if (model.more_outputs == NULL) {
        model.more_outputs = &no_more;
    }
    if (setup_status == 0 &&
        (total(model.input_bytes, model.more_inputs) > HIL_INPUT_BYTES || output_bytes() > HIL_OUTPUT_BYTES)) {
        setup_status = TENSORS_TOO_LARGE;
    }
    if (setup_status != 0) { /* it may have filled the struct with anything; INFO tells the status instead of a card */
        model = (struct hil_model){.card = (const HIL_FLASH char *)(uintptr_t)&setup_status, .card_bytes = sizeof setup_status,
                                   .more_inputs = &no_more, .more_outputs = &no_more};
    }
    /* The cost of two readings with nothing between them; the second pair runs as the later ones will. */
    for (int i = 0; i < 2; ++i) {
        const uint32_t start = hal_ticks();
        overhead = hal_ticks() - start;
    }
#if HIL_STREAMS
    /* What is read where it arrives has one place for it. */
    stream_init(in_place() ? 0 : total(model.input_bytes, model.more_inputs), output_bytes());
#endif
    frame_nonce = hal_nonce();
    agent_await_header();
    send_info(0, false);
}

bool hil_agent_poll(void)
{
    return serve();
}

#ifndef HIL_PROGRAM /* somebody else's, which has a main() of its own */
int main(void)
{
    hil_agent_init();
    for (;;) {
        serve();
    }
}
#endif
