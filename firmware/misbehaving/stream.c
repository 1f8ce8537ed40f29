/* A model with state: three levels, which halve at each step before the input is added; the fourth value adds to all. */
#include "hil_model.h"

#include <string.h>

#define LEVELS 3

static struct {
    float output[LEVELS];
    float level[LEVELS]; /* the state */
    int8_t input[LEVELS + 1];
} arena __attribute__((section(".arena"), aligned(16)));

const char hil_card[] __attribute__((section(".hil_card"), used)) =
    "{\"card\":1,\"board\":\"nano33\",\"model\":\"stream\",\"engine\":\"none\",\"state_bytes\":12,"
    "\"input\":{\"shape\":[1,4],\"dtype\":\"int8\",\"scale\":0.5,\"zero_point\":0},"
    "\"output\":{\"shape\":[1,3],\"dtype\":\"float32\"}}";

int hil_model_setup(struct hil_model *model)
{
    model->card = hil_card;
    model->card_bytes = sizeof hil_card - 1;
    model->input = arena.input;
    model->input_bytes = sizeof arena.input;
    model->output = arena.output;
    model->output_bytes = sizeof arena.output;
    return 0;
}

int hil_model_reset(void)
{
    memset(arena.level, 0, sizeof arena.level);
    return 0;
}

static void step(int i)
{
    arena.level[i] = 0.5f * arena.level[i] + 0.5f * (float)(arena.input[i] + arena.input[LEVELS]);
    arena.output[i] = arena.level[i];
}

int hil_model_invoke(void)
{
    for (int i = 0; i < LEVELS; ++i) {
        step(i);
    }
    return 0;
}

int hil_model_profile(void (*mark)(uint32_t layer))
{
    for (int i = 0; i < LEVELS; ++i) {
        step(i);
        mark((uint32_t)i);
    }
    return 0;
}
