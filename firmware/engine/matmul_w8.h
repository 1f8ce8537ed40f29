/* The product of matmul_f32.h with int8 weights: eight output channels by one or two columns of float inputs.
 * A weight becomes a float when it is used, and each sum is scaled once, at the end.
 * Weights stand as [channels / 8][depth][8]; a last group is filled up with zeros. */
#ifndef HIL_MATMUL_W8_H
#define HIL_MATMUL_W8_H

#include "matmul_f32.h"

struct matmul_w8 {
    const int8_t *weights;
    const float *scales, *bias;
    uint32_t depth, channels;
    float act_min, act_max;
};

static inline void matmul_store_w8(const struct matmul_w8 *m, uint32_t c, const float sum[8], float *y)
{
    uint32_t left = m->channels - c;
#pragma GCC unroll 8
    for (uint32_t i = 0; i < 8; i++) {
        if (i < left)
            y[c + i] = clamp_f32(fma_f32(sum[i], m->scales[c + i], m->bias[c + i]), m->act_min, m->act_max);
    }
}

static inline void matmul_two_w8(const struct matmul_w8 *m, const float *x0, const float *x1, float *y0, float *y1)
{
    const int8_t *w = m->weights;
    for (uint32_t c = 0; c < m->channels; c += 8) {
        float s0[8] = {0}, s1[8] = {0};
        const int8_t *end = w + 8 * m->depth;
        const float *a = x0, *b = x1;
        for (; w != end; w += 8) {
            float va = *a++, vb = *b++;
#pragma GCC unroll 8
            for (int i = 0; i < 8; i++) {
                float weight = (float)w[i];
                s0[i] = fma_f32(va, weight, s0[i]);
                s1[i] = fma_f32(vb, weight, s1[i]);
            }
        }
        matmul_store_w8(m, c, s0, y0);
        matmul_store_w8(m, c, s1, y1);
    }
}

static inline void matmul_one_w8(const struct matmul_w8 *m, const float *x, float *y)
{
    const int8_t *w = m->weights;
    for (uint32_t c = 0; c < m->channels; c += 8) {
        float sum[8] = {0};
        const int8_t *end = w + 8 * m->depth;
        const float *a = x;
        for (; w != end; w += 8) {
            float value = *a++;
#pragma GCC unroll 8
            for (int i = 0; i < 8; i++)
                sum[i] = fma_f32(value, (float)w[i], sum[i]);
        }
        matmul_store_w8(m, c, sum, y);
    }
}

#endif
