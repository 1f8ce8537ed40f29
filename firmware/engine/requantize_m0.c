/* From sums to outputs on Armv6-M: what requantize.h and dsp.h have as inline functions where a product of 64 bits is
 * one instruction. */
#ifdef __ARM_ARCH_6M__

#include "requantize.h"

struct product { /* of 64 bits */
    int32_t high;
    uint32_t next; /* the two bits below */
};

/* By four products of 16 bits, none of which overflows. */
ALWAYS_INLINE struct product long_product(int32_t a, int32_t b)
{
    int32_t a_low = a & 0xffff, a_high = a >> 16, b_low = b & 0xffff, b_high = b >> 16;
    int32_t middle = a_high * b_low + (int32_t)((uint32_t)a_low * (uint32_t)b_low >> 16);
    int32_t other = a_low * b_high + (middle & 0xffff);
    return (struct product){
        .high = a_high * b_high + (middle >> 16) + (other >> 16),
        .next = ((uint32_t)other >> 14) & 3u,
    };
}

int32_t smmulr(int32_t a, int32_t b)
{
    struct product product = long_product(a, b);
    return product.high + (int32_t)(product.next >> 1);
}

int32_t rounding_doubling_high_mul(int32_t a, int32_t b)
{
    struct product product = long_product(a, b);
    if (a == INT32_MIN && b == INT32_MIN)
        return INT32_MAX;
    return (int32_t)(2u * (uint32_t)product.high + ((product.next + 1u) >> 1));
}

int8_t requantize(int32_t sum, const struct hil_channel *channel, const struct hil_quant *quant)
{
    int32_t value = scale_by(sum, channel->multiplier, channel->shift) + quant->out_zero;
    return (int8_t)clamp(value, quant->act_min, quant->act_max);
}

ALWAYS_INLINE int8_t fast_form(int32_t sum, const struct hil_channel *channel)
{
    int32_t a = (int32_t)((uint32_t)sum << 1), b = channel->multiplier;
    int32_t a_low = (uint16_t)a, a_high = a >> 16, b_low = (uint16_t)b, b_high = b >> 16;
    int32_t middle = a_high * b_low + (int32_t)((uint32_t)a_low * (uint32_t)b_low >> 16);
    int32_t other = a_low * b_high + (uint16_t)middle;
    int32_t high = a_high * b_high + (middle >> 16) + (((other >> 15) + 1) >> 1);
    return (int8_t)ssat8((high + (high >> 31) + channel->round) >> channel->shift);
}

int8_t requantize_fast(int32_t sum, const struct hil_channel *channel)
{
    return fast_form(sum, channel);
}

uint32_t requantize_two(int32_t first, int32_t second, const struct hil_channel *channel, const struct hil_quant *quant)
{
    first += channel->bias;
    second += channel->bias;
    if (quant->fast)
        return (uint32_t)(uint8_t)fast_form(first, channel) | (uint32_t)fast_form(second, channel) << 8;
    return (uint32_t)(uint8_t)requantize(first, channel, quant) | (uint32_t)requantize(second, channel, quant) << 8;
}

#endif
