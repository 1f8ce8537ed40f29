/* An engine of one's own: a network of two layers in plain C, for grey images of 28 x 28.
 *
 * It shows all that the agent asks for (hil_model.h). Nothing of it is tuned. */
#include "hil_card.h"
#include "hil_model.h"
#include "weights.h"

#include <string.h>

#define SIDE 28
#define HALF (SIDE / 2)
#define BLOCKS (HALF * HALF)
#define HIDDEN 32
#define CLASSES 10

/* The section .arena is what results call "arena"; all other static data is called "static". Not cleared at boot. */
static struct {
    float output[CLASSES];
    int32_t hidden[HIDDEN];
    int16_t blocks[BLOCKS];
    uint8_t input[SIDE * SIDE];
} arena __attribute__((section(".arena"), aligned(16)));

int hil_model_setup(struct hil_model *model)
{
    memset(&arena, 0, sizeof arena);
    model->card = hil_card;
    model->card_bytes = HIL_CARD_BYTES;
    model->input = arena.input;
    model->input_bytes = sizeof arena.input;
    model->output = arena.output;
    model->output_bytes = sizeof arena.output;
    return 0;
}

/* Sums of 2 x 2 pixels. */
static void shrink(void)
{
    for (int y = 0; y < HALF; ++y) {
        for (int x = 0; x < HALF; ++x) {
            const uint8_t *p = arena.input + 2 * y * SIDE + 2 * x;
            arena.blocks[y * HALF + x] = (int16_t)(p[0] + p[1] + p[SIDE] + p[SIDE + 1]);
        }
    }
}

static void hidden_layer(void)
{
    for (int j = 0; j < HIDDEN; ++j) {
        int32_t sum = hidden_bias[j];
        for (int i = 0; i < BLOCKS; ++i) {
            sum += hidden_weights[j][i] * arena.blocks[i];
        }
        arena.hidden[j] = sum > 0 ? sum : 0;
    }
}

static void output_layer(void)
{
    for (int k = 0; k < CLASSES; ++k) {
        float sum = bias[k];
        for (int j = 0; j < HIDDEN; ++j) {
            sum += weights[k][j] * (float)arena.hidden[j];
        }
        arena.output[k] = sum;
    }
}

int hil_model_invoke(void)
{
    shrink();
    hidden_layer();
    output_layer();
    return 0;
}

/* Optional. The same inference, and says when each layer is done. */
int hil_model_profile(void (*mark)(uint32_t layer))
{
    shrink();
    mark(0);
    hidden_layer();
    mark(1);
    output_layer();
    mark(2);
    return 0;
}
