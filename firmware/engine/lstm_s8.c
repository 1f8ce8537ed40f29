/* int8 LSTM with a cell state of 16 bits. What each unit gives goes into the output, where the next step reads it. */
#include "lstm.h"
#include "product_s8.h"

#include <string.h>

/* What a gate's function is of: its part of the inputs and of the step before, each rounded to 16 bits. */
static inline int32_t gate(const struct hil_lstm_s8 *p, int kind, int32_t input, int32_t recurrent)
{
    const struct hil_scaling *x = &p->input[kind], *h = &p->recurrent[kind];
    return clamp_16(scaled_16(input, x->multiplier, x->shift) + scaled_16(recurrent, h->multiplier, h->shift));
}

static int8_t one(const struct hil_lstm_s8 *p, const int32_t input[4], const int32_t recurrent[4], int16_t *cell)
{
    int32_t in = gate(p, 0, input[0], recurrent[0]), forget = gate(p, 1, input[1], recurrent[1]);
    int32_t news = gate(p, 2, input[2], recurrent[2]), out = gate(p, 3, input[3], recurrent[3]);
    return (int8_t)clamp(unit(p, in, forget, news, out, cell) + p->out_zero, INT8_MIN, INT8_MAX);
}

/* The sums of all gates of a unit, and where the weights of the next one are. */
typedef const int8_t *product(int32_t sum[4], const int8_t *x, uint32_t depth, const int8_t *weights);

ALWAYS_INLINE const int8_t *fast(int32_t sum[4], const int8_t *x, uint32_t depth, const int8_t *weights)
{
    const uint32_t *rows = (const uint32_t *)(const void *)weights;
    uint32_t quads = (depth + 3u) / 4u;
    return (const int8_t *)four_sums(sum, x, quads, rows, rows + 2 * quads);
}

ALWAYS_INLINE const int8_t *plain(int32_t sum[4], const int8_t *x, uint32_t depth, const int8_t *weights)
{
    for (uint32_t i = 0; i < 4; i++) {
        sum[i] = 0;
        for (uint32_t d = 0; d < depth; d++)
            sum[i] += x[d] * *weights++;
    }
    return weights;
}

ALWAYS_INLINE void lstm(const struct hil_lstm_s8 *p, const int8_t *x, int8_t *hidden, int16_t *cell, int8_t *y,
                        product *multiply)
{
    for (uint32_t b = 0; b < p->batches; b++, hidden += p->units, cell += p->units) {
        const int8_t *before = hidden;
        for (uint32_t t = 0; t < p->steps; t++) {
            uint32_t at = b * p->batch_stride + t * p->step_stride;
            const int8_t *weights = p->weights, *recurrent = p->recurrent_weights;
            const int32_t *bias = p->bias;
            int8_t *now = y + at * p->units;
            for (uint32_t u = 0; u < p->units; u++, bias += 8) {
                int32_t input[4], back[4];
                weights = multiply(input, x + at * p->inputs, p->inputs, weights);
                recurrent = multiply(back, before, p->units, recurrent);
                for (int i = 0; i < 4; i++) {
                    input[i] += bias[i];
                    back[i] += bias[4 + i];
                }
                now[u] = one(p, input, back, &cell[u]);
            }
            before = now;
        }
        memcpy(hidden, before, p->units);
    }
}

void hil_lstm_s8(const struct hil_lstm_s8 *p, const int8_t *x, int8_t *hidden, int16_t *cell, int8_t *y)
{
    lstm(p, x, hidden, cell, y, fast);
}

void hil_lstm_s8_plain(const struct hil_lstm_s8 *p, const int8_t *x, int8_t *hidden, int16_t *cell, int8_t *y)
{
    lstm(p, x, hidden, cell, y, plain);
}
