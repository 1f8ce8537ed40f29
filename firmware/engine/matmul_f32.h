/* The product at the heart of the float kernels: eight output channels by one or two columns.
 * Weights stand as [channels / 8][depth][8]; a last group is filled up with zeros. */
#ifndef HIL_MATMUL_F32_H
#define HIL_MATMUL_F32_H

#include "hil_engine.h"

/* NaN stays NaN: both comparisons fail. */
static inline float clamp_f32(float value, float low, float high)
{
    value = value < low ? low : value;
    return value > high ? high : value;
}

/* a x b + c, rounded once (VFMA on the Cortex-M4F); twice on an Arm core without such an instruction, where that takes a
 * fraction of the time. */
static inline float fma_f32(float a, float b, float c)
{
#if defined(__arm__) && !defined(__ARM_FEATURE_FMA)
    return a * b + c;
#else
    return __builtin_fmaf(a, b, c);
#endif
}

struct matmul_f32 {
    const float *weights, *bias;
    uint32_t depth, channels;
    float act_min, act_max;
};

static inline void matmul_store(const struct matmul_f32 *m, uint32_t c, const float sum[8], float *y)
{
    uint32_t left = m->channels - c;
#pragma GCC unroll 8
    for (uint32_t i = 0; i < 8; i++) {
        if (i < left)
            y[c + i] = clamp_f32(sum[i] + m->bias[c + i], m->act_min, m->act_max);
    }
}

static inline void matmul_two(const struct matmul_f32 *m, const float *x0, const float *x1, float *y0, float *y1)
{
    const float *w = m->weights;
    for (uint32_t c = 0; c < m->channels; c += 8) {
        float s0[8] = {0}, s1[8] = {0};
        const float *end = w + 8 * m->depth;
        const float *a = x0, *b = x1;
        for (; w != end; w += 8) {
            float va = *a++, vb = *b++;
#pragma GCC unroll 8
            for (int i = 0; i < 8; i++) {
                s0[i] = fma_f32(va, w[i], s0[i]);
                s1[i] = fma_f32(vb, w[i], s1[i]);
            }
        }
        matmul_store(m, c, s0, y0);
        matmul_store(m, c, s1, y1);
    }
}

static inline void matmul_one(const struct matmul_f32 *m, const float *x, float *y)
{
    const float *w = m->weights;
    for (uint32_t c = 0; c < m->channels; c += 8) {
        float sum[8] = {0};
        const float *end = w + 8 * m->depth;
        const float *a = x;
        for (; w != end; w += 8) {
            float value = *a++;
#pragma GCC unroll 8
            for (int i = 0; i < 8; i++)
                sum[i] = fma_f32(value, w[i], sum[i]);
        }
        matmul_store(m, c, sum, y);
    }
}

/* Adds the products of `depth` inputs with a group of eight rows of weights. Returns where the next begins. */
static inline const float *matmul_add(float sum[8], const float *x, uint32_t depth, const float *w)
{
    for (const float *end = w + 8 * depth; w != end; w += 8) {
        float value = *x++;
#pragma GCC unroll 8
        for (int i = 0; i < 8; i++)
            sum[i] = fma_f32(value, w[i], sum[i]);
    }
    return w;
}

#endif
