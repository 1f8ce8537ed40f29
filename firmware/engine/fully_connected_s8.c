/* int8 matrix by vector. */
#include "requantize.h"

#ifndef __ARM_ARCH_6M__ /* fully_connected_m0.c */
#include "product_s8.h"

void hil_matrix_by_vector_s8(const struct matrix_s8 *m, const int8_t *x, int8_t *y)
{
    const uint32_t *weights = (const uint32_t *)(const void *)m->weights;
    const struct hil_channel *channel = m->channels;
    int fast = m->quant->fast;
    for (uint32_t left = m->outputs; left;) {
        const uint32_t *second = left > 2 ? weights + 2 * m->quads : weights; /* there may be only one row */
        int32_t sum[4];
        weights = four_sums(sum, x, m->quads, weights, second);
        if (fast && left >= 4) {
#pragma GCC unroll 4
            for (int i = 0; i < 4; i++, channel++)
                *y++ = requantize_fast(sum[i] + channel->bias, channel);
            left -= 4;
            continue;
        }
        for (int i = 0; i < 4 && left; i++, left--, channel++) {
            int32_t total = sum[i] + channel->bias;
            *y++ = fast ? requantize_fast(total, channel) : requantize(total, channel, m->quant);
        }
    }
}

void hil_fully_connected_s8(const struct hil_fully_connected_s8 *p, const int8_t *x, int8_t *y)
{
    const struct matrix_s8 m = {p->weights, p->channels, &p->quant, p->outputs, (p->depth + 3u) / 4u};
    for (uint32_t row = 0; row < p->rows; row++, x += p->depth, y += p->outputs)
        hil_matrix_by_vector_s8(&m, x, y);
}

#endif

void hil_fully_connected_s8_plain(const struct hil_fully_connected_s8 *p, const int8_t *x, int8_t *y)
{
    for (uint32_t row = 0; row < p->rows; row++, x += p->depth) {
        const int8_t *weights = p->weights;
        for (uint32_t c = 0; c < p->outputs; c++) {
            int32_t sum = p->channels[c].bias;
            for (uint32_t i = 0; i < p->depth; i++)
                sum += (x[i] - p->quant.in_zero) * *weights++;
            *y++ = requantize(sum, &p->channels[c], &p->quant);
        }
    }
}
