/* LSTM of int16 activations by int8 weights, in plain C: sums of 64 bits, which a gate rounds once (requantize_s16.h). */
#include "lstm.h"

#include <string.h>

static int32_t narrow(int64_t sum, const struct hil_scaling *by)
{
    return clamp_16((int32_t)((sum * by->multiplier + (1ll << (by->shift - 1))) >> by->shift));
}

static int64_t product(const int16_t *x, const int8_t *weights, uint32_t depth)
{
    int64_t sum = 0;
    for (uint32_t d = 0; d < depth; d++)
        sum += x[d] * weights[d];
    return sum;
}

void hil_lstm_s16(const struct hil_lstm_s8 *p, const int16_t *x, int16_t *hidden, int16_t *cell, int16_t *y)
{
    for (uint32_t b = 0; b < p->batches; b++, hidden += p->units, cell += p->units) {
        const int16_t *before = hidden;
        for (uint32_t t = 0; t < p->steps; t++) {
            uint32_t at = b * p->batch_stride + t * p->step_stride;
            const int8_t *weights = p->weights, *recurrent = p->recurrent_weights;
            const hil_int64 *bias = p->wide_bias;
            int16_t *now = y + at * p->units;
            for (uint32_t u = 0; u < p->units; u++) {
                int32_t gates[4];
                for (int i = 0; i < 4; i++, weights += p->inputs, recurrent += p->units) {
                    int32_t input = narrow(product(x + at * p->inputs, weights, p->inputs) + *bias++, &p->input[i]);
                    gates[i] = clamp_16(input + narrow(product(before, recurrent, p->units), &p->recurrent[i]));
                }
                now[u] = (int16_t)clamp_16(unit(p, gates[0], gates[1], gates[2], gates[3], &cell[u]));
            }
            before = now;
        }
        memcpy(hidden, before, p->units * sizeof *hidden);
    }
}
