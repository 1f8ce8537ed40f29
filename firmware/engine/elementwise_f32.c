/* float functions of one value, and of two tensors of the same shape or of a tensor and a shorter one that repeats. */
#include "matmul_f32.h"

#include <math.h>

/* `y` may be `x`. */
#define UNARY(name, result)                                                                                       \
    void hil_##name##_f32(const struct hil_unary_f32 *p, const float *x, float *y)                                \
    {                                                                                                             \
        for (uint32_t i = 0; i < p->count; i++) {                                                                 \
            const float v = x[i];                                                                                 \
            y[i] = result;                                                                                        \
        }                                                                                                         \
    }
UNARY(abs, fabsf(v))
UNARY(neg, -v)
UNARY(square, v * v)
UNARY(sqrt, sqrtf(v))
UNARY(rsqrt, 1.0f / sqrtf(v))
UNARY(exp, expf(v))
UNARY(log, logf(v))
UNARY(floor, floorf(v))
UNARY(ceil, ceilf(v))
UNARY(round, rintf(v))
UNARY(sin, sinf(v))
UNARY(cos, cosf(v))
UNARY(elu, v < 0.0f ? expm1f(v) : v)
UNARY(gelu, 0.5f * v * (1.0f + erff(v * 0.70710678f)))
UNARY(gelu_tanh, 0.5f * v * (1.0f + tanhf(0.79788456f * (v + 0.044715f * v * v * v))))

/* `y` may be `x1`; u is the operator's first input, v its second. */
#define BINARY(name, result)                                                                                      \
    void hil_##name##_f32(const struct hil_elementwise_f32 *p, const float *x1, const float *x2, float *y)        \
    {                                                                                                             \
        for (uint32_t i = 0, j = 0; i < p->count; i++) {                                                          \
            const float u = p->swapped ? x2[j] : x1[i], v = p->swapped ? x1[i] : x2[j];                           \
            y[i] = clamp_f32(result, p->act_min, p->act_max);                                                     \
            if (++j == p->period)                                                                                 \
                j = 0;                                                                                            \
        }                                                                                                         \
    }                                                                                                             \
    void hil_##name##_constant_f32(const struct hil_elementwise_f32 *p, const float *x, float *y)                 \
    {                                                                                                             \
        hil_##name##_f32(p, x, p->constant, y);                                                                   \
    }
BINARY(sub, u - v)
BINARY(div, u / v)
BINARY(minimum, u < v ? u : v)
BINARY(maximum, u > v ? u : v)
BINARY(prelu, u < 0.0f ? u * v : u)
