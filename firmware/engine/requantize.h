/* From an int32 sum to an int8 output, rounded twice as TFLite Micro does: when the product with the
 * multiplier is halved 31 times, and when the result is shifted right. */
#ifndef HIL_REQUANTIZE_H
#define HIL_REQUANTIZE_H

#include "dsp.h"
#include "hil_engine.h"

#ifdef __ARM_ARCH_6M__ /* as below without products of 64 bits: functions, since they are long (requantize_m0.c) */

#define rounding_doubling_high_mul hil_rounding_doubling_high_mul
#define requantize hil_requantize
#define requantize_fast hil_requantize_fast
#define requantize_two hil_requantize_two
int32_t rounding_doubling_high_mul(int32_t a, int32_t b);
int8_t requantize(int32_t sum, const struct hil_channel *channel, const struct hil_quant *quant);
int8_t requantize_fast(int32_t sum, const struct hil_channel *channel);

/* An output of a channel, whose bias is added, in the form that `quant` says. */
static inline int8_t requantize_one(int32_t sum, const struct hil_channel *channel, const struct hil_quant *quant)
{
    sum += channel->bias;
    return quant->fast ? requantize_fast(sum, channel) : requantize(sum, channel, quant);
}

/* Two of them: the first in the lowest byte, the second in the next. */
uint32_t requantize_two(int32_t first, int32_t second, const struct hil_channel *channel, const struct hil_quant *quant);

#endif

#ifdef __AVR__ /* which has little flash for copies of these, and no 64-bit registers (avr/requantize.c) */

int32_t rounding_doubling_high_mul(int32_t a, int32_t b);
int32_t rounding_shift_right(int32_t value, int32_t shift);

#else

#ifndef __ARM_ARCH_6M__
/* (a x b) / 2^31, rounded to the nearest, ties away from zero only upwards; saturates at -1 x -1. */
static inline int32_t rounding_doubling_high_mul(int32_t a, int32_t b)
{
    if (a == INT32_MIN && b == INT32_MIN)
        return INT32_MAX;
    return (int32_t)(((int64_t)a * b + (1 << 30)) >> 31);
}
#endif

/* value / 2^shift, rounded to the nearest, ties away from zero. */
static inline int32_t rounding_shift_right(int32_t value, int32_t shift)
{
    int32_t mask = (int32_t)((1u << shift) - 1u);
    int32_t threshold = (mask >> 1) + (value < 0);
    return (value >> shift) + ((value & mask) > threshold);
}

#endif

/* value x multiplier / 2^31 / 2^shift; a negative shift multiplies first. */
static inline int32_t scale_by(int32_t value, int32_t multiplier, int32_t shift)
{
    int32_t left = shift < 0 ? -shift : 0;
    int32_t right = shift < 0 ? 0 : shift;
    int32_t shifted = (int32_t)((uint32_t)value << left);
    return rounding_shift_right(rounding_doubling_high_mul(shifted, multiplier), right);
}

static inline int32_t clamp(int32_t value, int32_t low, int32_t high)
{
    return value < low ? low : value > high ? high : value;
}

#ifdef __AVR__

int8_t requantize(int32_t sum, const HIL_FLASH struct hil_channel *channel, const HIL_FLASH struct hil_quant *quant);

#elif !defined(__ARM_ARCH_6M__)

static inline int8_t requantize(int32_t sum, const HIL_FLASH struct hil_channel *channel, const HIL_FLASH struct hil_quant *quant)
{
    int32_t value = scale_by(sum, channel->multiplier, channel->shift) + quant->out_zero;
    return (int8_t)clamp(value, quant->act_min, quant->act_max);
}

#endif

#ifndef __ARM_ARCH_6M__
/* The same where the compiler has proved that |sum| < 2^30, shift >= 1 and nothing overflows: a negative value is
 * lowered by one before half of 2^shift is added, which is what "ties away from zero" comes to. */
static inline int8_t requantize_fast(int32_t sum, const HIL_FLASH struct hil_channel *channel)
{
    int32_t high = smmulr((int32_t)((uint32_t)sum << 1), channel->multiplier);
    return (int8_t)ssat8((high + (high >> 31) + channel->round) >> channel->shift);
}
#endif

#endif
