/* int8 SVDF: what each filter makes of the inputs is kept for some steps, in 8 or 16 bits, and weighted over time. */
#include "product_s8.h"

/* The state of one filter moves on by one step. Returns its sum over time. */
ALWAYS_INLINE int32_t over_time_s8(const struct hil_svdf_s8 *p, int8_t *state, const int8_t *weights, int32_t newest)
{
    uint32_t last = p->memory - 1;
    int32_t sum = 0;
    for (uint32_t i = 0; i < last; i++) {
        state[i] = state[i + 1];
        sum += (state[i] - p->state_zero) * weights[i];
    }
    state[last] = (int8_t)(clamp(newest, INT8_MIN, INT8_MAX) + p->state_zero); /* may wrap, as in TFLite Micro */
    return sum + (state[last] - p->state_zero) * weights[last];
}

ALWAYS_INLINE int32_t over_time_s16(const struct hil_svdf_s8 *p, int16_t *state, const int16_t *weights,
                                    int32_t newest)
{
    uint32_t last = p->memory - 1;
    int32_t sum = 0;
    for (uint32_t i = 0; i < last; i++) {
        state[i] = state[i + 1];
        sum += (state[i] - p->state_zero) * weights[i];
    }
    state[last] = (int16_t)(clamp(newest, INT16_MIN, INT16_MAX) + p->state_zero);
    return sum + (state[last] - p->state_zero) * weights[last];
}

/* Four sums, of inputs that are left; the last ones mean nothing where there are fewer filters. */
ALWAYS_INLINE const int8_t *products(int32_t sum[4], const int8_t *x, uint32_t depth, const int8_t *weights,
                                     uint32_t left, int fast)
{
    if (fast) {
        const uint32_t *rows = (const uint32_t *)(const void *)weights;
        uint32_t quads = (depth + 3u) / 4u;
        return (const int8_t *)four_sums(sum, x, quads, rows, left > 2 ? rows + 2 * quads : rows);
    }
    for (uint32_t i = 0; i < 4 && i < left; i++) {
        sum[i] = 0;
        for (uint32_t d = 0; d < depth; d++)
            sum[i] += x[d] * *weights++;
    }
    return weights;
}

ALWAYS_INLINE void svdf(const struct hil_svdf_s8 *p, const int8_t *x, void *state, int8_t *y, int wide, int fast)
{
    int8_t *state8 = state;
    int16_t *state16 = state;
    for (uint32_t b = 0; b < p->batches; b++, x += p->inputs) {
        const int8_t *weights = p->weights;
        const int32_t *offset = p->offsets, *bias = p->bias;
        uint32_t at = 0, of_unit = 0;
        int32_t total = 0, sum[4];
        for (uint32_t f = 0; f < p->filters; f++, at += p->memory) {
            if (f % 4 == 0)
                weights = products(sum, x, p->inputs, weights, p->filters - f, fast);
            int32_t newest = scale_by(sum[f % 4] + *offset++, p->feature.multiplier, p->feature.shift);
            if (wide)
                total += over_time_s16(p, state16 + at, p->time_s16 + at, newest);
            else
                total += over_time_s8(p, state8 + at, p->time_s8 + at, newest);
            if (++of_unit < p->rank)
                continue;
            int32_t scaled = scale_by(total + *bias++, p->output.multiplier, p->output.shift);
            *y++ = (int8_t)clamp(scaled + p->out_zero, -128, 127);
            total = 0;
            of_unit = 0;
        }
        state8 += at;
        state16 += at;
    }
}

void hil_svdf_s8(const struct hil_svdf_s8 *p, const int8_t *x, int8_t *state, int8_t *y)
{
    svdf(p, x, state, y, 0, 1);
}

void hil_svdf_s8_plain(const struct hil_svdf_s8 *p, const int8_t *x, int8_t *state, int8_t *y)
{
    svdf(p, x, state, y, 0, 0);
}

void hil_svdf_s8_s16(const struct hil_svdf_s8 *p, const int8_t *x, int16_t *state, int8_t *y)
{
    svdf(p, x, state, y, 1, 1);
}

void hil_svdf_s8_s16_plain(const struct hil_svdf_s8 *p, const int8_t *x, int16_t *state, int8_t *y)
{
    svdf(p, x, state, y, 1, 0);
}
