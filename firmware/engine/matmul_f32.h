/* The product at the heart of the float kernels: output channels by one column, or by four (matmul_f32.c).
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

/* Assembly for the FPU of a Cortex-M4 or M7. */
#if defined(__ARM_FEATURE_FMA) && defined(__ARM_FP) && defined(__thumb2__) && defined(__OPTIMIZE__)
#define HIL_FPU_ASSEMBLY
#endif

struct matmul_f32 {
    const float *weights, *bias;
    uint32_t depth, channels;
    float act_min, act_max;
};

/* Outputs of four pixels, whose columns follow each other. */
void hil_matmul_four_f32(const struct matmul_f32 *m, const float *x, float *y);

static inline void matmul_store(const struct matmul_f32 *m, uint32_t c, const float sum[8], float *y)
{
    uint32_t left = m->channels - c;
#pragma GCC unroll 8
    for (uint32_t i = 0; i < 8; i++) {
        if (i < left)
            y[c + i] = clamp_f32(sum[i] + m->bias[c + i], m->act_min, m->act_max);
    }
}

/* Adds the products of `depth` inputs with a group of eight rows of weights. Returns where the next begins. */
static inline const float *matmul_add(float sum[8], const float *x, uint32_t depth, const float *w)
{
#if defined(HIL_FPU_ASSEMBLY)
    /* Weights in one instruction, where compilers put their loads between the multiply-adds, at two cycles each. */
    __asm__ volatile("cbz    %[depth], 2f\n\t"
                     ".p2align 2\n"
                     "1:\n\t"
                     "vldmia %[w]!, {s0-s7}\n\t"
                     "vldmia %[x]!, {s8}\n\t"
                     "vfma.f32 %[sum0], s8, s0\n\t"
                     "vfma.f32 %[sum1], s8, s1\n\t"
                     "vfma.f32 %[sum2], s8, s2\n\t"
                     "vfma.f32 %[sum3], s8, s3\n\t"
                     "vfma.f32 %[sum4], s8, s4\n\t"
                     "vfma.f32 %[sum5], s8, s5\n\t"
                     "vfma.f32 %[sum6], s8, s6\n\t"
                     "vfma.f32 %[sum7], s8, s7\n\t"
                     "subs.w %[depth], %[depth], #1\n\t"
                     "bne    1b\n"
                     "2:"
                     : [sum0] "+t"(sum[0]), [sum1] "+t"(sum[1]), [sum2] "+t"(sum[2]), [sum3] "+t"(sum[3]),
                       [sum4] "+t"(sum[4]), [sum5] "+t"(sum[5]), [sum6] "+t"(sum[6]), [sum7] "+t"(sum[7]),
                       [x] "+r"(x), [w] "+r"(w), [depth] "+l"(depth)
                     :
                     : "cc", "memory", "s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8");
#else
    for (const float *end = w + 8 * depth; w != end; w += 8) {
        float value = *x++;
#pragma GCC unroll 8
        for (int i = 0; i < 8; i++)
            sum[i] = fma_f32(value, w[i], sum[i]);
    }
#endif
    return w;
}

static inline void matmul_one(const struct matmul_f32 *m, const float *x, float *y)
{
    const float *w = m->weights;
    for (uint32_t c = 0; c < m->channels; c += 8) {
        float sum[8] = {0};
        w = matmul_add(sum, x, m->depth, w);
        matmul_store(m, c, sum, y);
    }
}

#endif
