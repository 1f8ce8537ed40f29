/* A model of two inputs and two outputs: a signal times a gain, and where the signal is greatest. */
#include "hil_model.h"

#define VALUES 8

static struct {
    float gain;
    int16_t signal[VALUES];
    float scaled[VALUES];
    int32_t peak;
} arena __attribute__((section(".arena"), aligned(16)));

static const struct hil_tensor more_inputs[] = {{&arena.gain, sizeof arena.gain}, {0}};
static const struct hil_tensor more_outputs[] = {{&arena.peak, sizeof arena.peak}, {0}};

const char hil_card[] __attribute__((section(".hil_card"), used)) =
    "{\"card\":1,\"board\":\"nano33\",\"model\":\"pair\",\"engine\":\"none\",\"inputs\":["
    "{\"name\":\"signal\",\"shape\":[1,8],\"dtype\":\"int16\",\"scale\":0.25,\"zero_point\":0},"
    "{\"name\":\"gain\",\"shape\":[1,1],\"dtype\":\"float32\"}],\"outputs\":["
    "{\"name\":\"scaled\",\"shape\":[1,8],\"dtype\":\"float32\"},"
    "{\"name\":\"peak\",\"shape\":[1,1],\"dtype\":\"int32\"}]}";

int hil_model_setup(struct hil_model *model)
{
    *model = (struct hil_model){
        .card = hil_card,
        .card_bytes = sizeof hil_card - 1,
        .input = arena.signal,
        .input_bytes = sizeof arena.signal,
        .output = arena.scaled,
        .output_bytes = sizeof arena.scaled,
        .more_inputs = more_inputs,
        .more_outputs = more_outputs,
    };
    return 0;
}

int hil_model_invoke(void)
{
    arena.peak = 0;
    for (int32_t i = 0; i < VALUES; ++i) {
        arena.scaled[i] = arena.gain * 0.25f * (float)arena.signal[i];
        if (arena.signal[i] > arena.signal[arena.peak]) {
            arena.peak = i;
        }
    }
    return 0;
}
