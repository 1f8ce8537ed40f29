/* Rows divided by their length. `y` may be `x`. */
#include "requantize.h"

#include <math.h>

#define MUL rounding_doubling_high_mul

/* value x 2^left, saturated. */
static int32_t shift_left(int32_t value, int left)
{
    int64_t wide = (int64_t)value * (1ll << left);
    return wide > INT32_MAX ? INT32_MAX : wide < INT32_MIN ? INT32_MIN : (int32_t)wide;
}

/* 1 / sqrt(square) as multiplier and right shift: five steps of Newton's method with 3 integer bits, as the reference. */
static struct hil_scaling inverse_root(int32_t square)
{
    struct hil_scaling result = {INT32_MAX, 0};
    if (square <= 1)
        return result;
    result.shift = 11;
    for (; square >= 1 << 29; square /= 4)
        result.shift++;
    int pairs = (__builtin_clz((uint32_t)square) - 1) / 2 - 1;
    result.shift -= pairs;
    square = (int32_t)((uint32_t)square << (2 * pairs)) >> 1;
    int32_t half = rounding_shift_right(square, 1), x = 1 << 28;
    for (int i = 0; i < 5; i++) {
        int32_t cube = shift_left(MUL(MUL(x, x), x), 6);
        x = shift_left(MUL((1 << 28) + (1 << 27), x) - MUL(half, cube), 3);
    }
    result.multiplier = MUL(x, 1518500250); /* by the root of a half */
    if (result.shift < 0) {
        result.multiplier = (int32_t)((uint32_t)result.multiplier << -result.shift);
        result.shift = 0;
    }
    return result;
}

void hil_l2_normalization_s8(const struct hil_l2_normalization *p, const int8_t *x, int8_t *y)
{
    for (uint32_t row = 0; row < p->rows; row++, x += p->depth, y += p->depth) {
        int32_t square = 0;
        for (uint32_t i = 0; i < p->depth; i++)
            square += (x[i] - p->in_zero) * (x[i] - p->in_zero);
        const struct hil_scaling by = inverse_root(square);
        for (uint32_t i = 0; i < p->depth; i++)
            y[i] = (int8_t)clamp(scale_by(x[i] - p->in_zero, by.multiplier, by.shift - 7), INT8_MIN, INT8_MAX);
    }
}

void hil_l2_normalization_f32(const struct hil_l2_normalization *p, const float *x, float *y)
{
    for (uint32_t row = 0; row < p->rows; row++, x += p->depth, y += p->depth) {
        float square = 0.0f;
        for (uint32_t i = 0; i < p->depth; i++)
            square += x[i] * x[i];
        const float length = fmaxf(sqrtf(square), 1e-6f);
        for (uint32_t i = 0; i < p->depth; i++)
            y[i] = x[i] / length;
    }
}
