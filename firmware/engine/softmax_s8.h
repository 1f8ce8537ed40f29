/* int8 softmax to int8 or int16 in fixed point: exp() and 1/x as the TFLite quantization specification's reference computes them.
 *
 * Qi.f is a signed number with i integer and f = 31 - i fractional bits. A product of Qa and Qb is a Q(a + b). */
#ifndef HIL_SOFTMAX_S8_H
#define HIL_SOFTMAX_S8_H

#include "requantize.h"

#define MUL rounding_doubling_high_mul

enum { ONE_Q0 = INT32_MAX };

/* value x 2^exponent, saturated. */
static int32_t shift_left(int32_t value, int exponent)
{
    int64_t wide = (int64_t)value * (1ll << exponent);
    return wide > INT32_MAX ? INT32_MAX : wide < INT32_MIN ? INT32_MIN : (int32_t)wide;
}

/* Of a number that isn't 0. */
static int leading_zeros(uint32_t value)
{
    return __builtin_clzl(value) - 8 * ((int)sizeof(long) - 4);
}

/* exp(a) for a in [-1/4, 0), Q0: a polynomial of degree four around -1/8. */
static int32_t exp_small(int32_t a)
{
    const int32_t exp_minus_eighth = 1895147668, third = 715827883;
    int32_t x = a + (INT32_C(1) << 28);
    int32_t x2 = MUL(x, x), x3 = MUL(x2, x), x4 = MUL(x2, x2);
    int32_t series = rounding_shift_right(MUL(rounding_shift_right(x4, 2) + x3, third) + x2, 1);
    return exp_minus_eighth + MUL(exp_minus_eighth, x + series);
}

/* exp(a) for a <= 0: a in Q5, the result in Q0. What exceeds a quarter is taken bit by bit from a table. */
static int32_t exp_negative(int32_t a)
{
    static const HIL_FLASH int32_t power[] = {1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242};
    if (a == 0)
        return ONE_Q0;
    int32_t small = (a & ((INT32_C(1) << 24) - 1)) - (INT32_C(1) << 24);
    int32_t result = exp_small(shift_left(small, 5));
    uint32_t rest = (uint32_t)(small - a); /* a multiple of 1/4, at least 0 */
    for (int i = 0; i < 7; i++) {
        if (rest & ((uint_fast32_t)1 << (24 + i)))
            result = MUL(result, power[i]);
    }
    return result;
}

/* 1 / (1 + a) for a in [0, 1), Q0 both: three steps of Newton's method. */
static int32_t reciprocal(int32_t a)
{
    int64_t sum = (int64_t)a + ONE_Q0;
    int32_t half = (int32_t)((sum + 1) / 2);
    int32_t x = 1515870810 + MUL(half, -1010580540); /* Q2: 48/17 - 32/17 x half */
    for (int i = 0; i < 3; i++) {
        int32_t error = (INT32_C(1) << 29) - MUL(half, x);
        x += shift_left(MUL(x, error), 2);
    }
    return shift_left(x, 1);
}

static int32_t exp_of_difference(const HIL_FLASH struct hil_softmax_s8 *p, int32_t difference)
{
    int32_t shifted = (int32_t)((uint32_t)difference << p->left_shift);
    return exp_negative(MUL(shifted, p->multiplier));
}

/* `y` is int8 or, with 16 bits, int16. */
ALWAYS_INLINE void softmax_row(const HIL_FLASH struct hil_softmax_s8 *p, const int8_t *x, void *y, const int bits)
{
    int32_t greatest = -128;
    for (uint32_t i = 0; i < p->depth; i++)
        greatest = x[i] > greatest ? x[i] : greatest;
    int32_t sum = 0; /* Q12 */
    for (uint32_t i = 0; i < p->depth; i++) {
        int32_t difference = x[i] - greatest;
        if (difference >= p->diff_min)
            sum += rounding_shift_right(exp_of_difference(p, difference), 12);
    }
    int headroom = leading_zeros((uint32_t)sum); /* sum >= 1 in Q12: the greatest input adds one */
    int32_t scale = reciprocal((int32_t)(((uint32_t)sum << headroom) - (UINT32_C(1) << 31)));
    int32_t exponent = 12 - headroom + 31 - bits, least = -(INT32_C(1) << (bits - 1));
    for (uint32_t i = 0; i < p->depth; i++) {
        int32_t difference = x[i] - greatest, value = least;
        if (difference >= p->diff_min) {
            int32_t share = MUL(scale, exp_of_difference(p, difference));
            value = clamp(rounding_shift_right(share, exponent) + least, least, -least - 1);
        }
        if (bits == 8)
            ((int8_t *)y)[i] = (int8_t)value;
        else
            ((int16_t *)y)[i] = (int16_t)value;
    }
}

#endif
