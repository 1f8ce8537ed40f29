/* Stands in for a model: output and cost follow from the input's CRC, so that the host can check every reply. */
#include "hil_model.h"

#include "crc32.h"
#include "model_config.h"
#include "pty_board.h"

#define COST_CYCLES 64000u /* 1 ms at 64 MHz, and a bit that differs from input to input */
#define COST_SPREAD 1024u

static uint8_t input[HIL_INPUT_BYTES];
static uint8_t output[HIL_OUTPUT_BYTES];

#define TEXT(x) #x
#define NUMBER(x) TEXT(x)

static const char card[] =
    "{\"card\":1,\"board\":\"pty\",\"model\":\"stand-in\",\"engine\":\"none\","
    "\"input\":{\"shape\":[" NUMBER(HIL_INPUT_BYTES) "],\"dtype\":\"int8\",\"scale\":1.0,\"zero_point\":0},"
    "\"output\":{\"shape\":[" NUMBER(HIL_OUTPUT_BYTES) "],\"dtype\":\"int8\",\"scale\":1.0,\"zero_point\":0}}";

int hil_model_setup(struct hil_model *model)
{
    model->card = card;
    model->card_bytes = sizeof card - 1;
    model->input = input;
    model->input_bytes = sizeof input;
    model->output = output;
    model->output_bytes = sizeof output;
    return 0;
}

int hil_model_invoke(void)
{
    uint32_t state = hil_crc32(0, input, sizeof input);
    pty_board_compute(COST_CYCLES + state % COST_SPREAD);
    for (uint32_t i = 0; i < sizeof output; ++i) {
        state = state * 1664525u + 1013904223u;
        output[i] = (uint8_t)(state >> 24);
    }
    return 0;
}
