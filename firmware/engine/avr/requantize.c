/* What requantize.h says, for a CPU that shifts by one bit at a time. */
#include "requantize.h"

int32_t rounding_doubling_high_mul(int32_t a, int32_t b)
{
    if (a == INT32_MIN && b == INT32_MIN)
        return INT32_MAX;
    const int64_t wide = (int64_t)a * b + (INT32_C(1) << 30);
    uint32_t halves[2];
    memcpy(halves, &wide, sizeof halves);
    return (int32_t)(halves[1] << 1 | halves[0] >> 31);
}

/* A negative value is lowered by one before half of 2^shift is added, which is what "ties away from zero" comes to. No product
 * of the function above is INT32_MIN. */
int32_t rounding_shift_right(int32_t value, int32_t shift)
{
    uint8_t left = (uint8_t)shift;
    if (left == 0)
        return value;
    value -= value < 0;
    for (left--; left >= 8; left -= 8)
        value >>= 8;
    for (; left != 0; left--)
        value >>= 1;
    return (value >> 1) + (value & 1);
}

int8_t requantize(int32_t sum, const HIL_FLASH struct hil_channel *channel, const HIL_FLASH struct hil_quant *quant)
{
    const int32_t value = scale_by(sum, channel->multiplier, channel->shift) + quant->out_zero;
    const int16_t low = quant->act_min, high = quant->act_max;
    return (int8_t)(value < low ? low : value > high ? high : (int16_t)value);
}
