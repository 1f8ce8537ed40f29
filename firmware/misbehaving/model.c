/* Images that fail the way firmware does, for the tests of the harness. One of them per value of MISBEHAVE. */
#include "hil_model.h"

#include <stdbool.h>
#include <string.h>

#include "hil_hal.h"
#include "kinds.h"
#include "model_config.h"

/* Inferences that go well; the first is the harness's warm-up. */
#define AFTER (MISBEHAVE == LONG ? 0u : 4u)

static uint8_t arena[HIL_INPUT_BYTES + HIL_OUTPUT_BYTES] __attribute__((section(".arena"), aligned(16)));
static uint32_t inferences;

const char hil_card[] __attribute__((section(".hil_card"), used)) =
    "{\"card\":1,\"board\":\"nano33\",\"model\":\"misbehaving\",\"engine\":\"none\","
    "\"input\":{\"shape\":[1,28,28,1],\"dtype\":\"int8\",\"scale\":0.00392156862745098,\"zero_point\":-128},"
    "\"output\":{\"shape\":[1,10],\"dtype\":\"int8\",\"scale\":0.00390625,\"zero_point\":-128}}";

void Reset_Handler(void);

static void send_garbage(void)
{
    static uint32_t state = 1;
    static uint8_t noise[64];
    for (uint32_t i = 0; i < sizeof noise; ++i) {
        state = state * 1664525u + 1013904223u;
        noise[i] = (uint8_t)(state >> 24);
    }
    hal_tx(noise, sizeof noise);
}

static uint32_t use_stack(uint32_t depth)
{
    volatile uint8_t block[1024];
    memset((void *)block, (int)depth, sizeof block);
    return depth == 0 ? block[0] : block[1] + use_stack(depth - 1);
}

/* Executes a little more than 2^32 instructions: the counter goes round, and shows a small difference. */
static __attribute__((noinline)) void outlast_counter(void)
{
    for (uint32_t i = 0; i < 0x400100u; ++i) {
        __asm volatile(".rept 1024\nnop\n.endr");
    }
}

int hil_model_setup(struct hil_model *model)
{
    model->card = hil_card;
    model->card_bytes = sizeof hil_card - 1;
    model->input = arena;
    model->input_bytes = HIL_INPUT_BYTES;
    model->output = arena + HIL_INPUT_BYTES;
    model->output_bytes = HIL_OUTPUT_BYTES;
    while (MISBEHAVE == GARBAGE) {
        send_garbage();
    }
    while (MISBEHAVE == SILENT) {
        __asm volatile("wfi");
    }
    return 0;
}

static bool misbehave(void)
{
    switch (MISBEHAVE) {
    case FAULT:
        return *(volatile uint32_t *)0x30000000u != 0; /* nothing is there */
    case HANG:
        for (;;) {
        }
    case RESTART:
        Reset_Handler();
        return false;
    case BABBLE:
        send_garbage();
        return false;
    case OVERFLOW:
        return use_stack(250) == 1;
    case LONG:
        outlast_counter();
        return false;
    case MANY:
    case WRONG:
        return false;
    default:
        return true;
    }
}

int hil_model_invoke(void)
{
    uint8_t *output = arena + HIL_INPUT_BYTES;
    if (++inferences > AFTER && misbehave()) {
        return -1;
    }
    memset(output, 0, HIL_OUTPUT_BYTES);
    output[arena[0] % HIL_OUTPUT_BYTES] = 1;
    return 0;
}
