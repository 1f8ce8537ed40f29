/* From the sum of an int16 layer to an int16 output, as TFLite Micro does it: a sum of 64 bits is multiplied by 16 bits and
 * rounded once, one of 32 bits (with an int32 bias) is rounded twice, as in requantize.h. */
#ifndef HIL_REQUANTIZE_S16_H
#define HIL_REQUANTIZE_S16_H

#include "requantize.h"

static inline int16_t requantize_s16(int64_t sum, const struct hil_channel *channel, const struct hil_conv_s16 *p)
{
    int32_t value;
    sum += (int64_t)((uint64_t)(uint32_t)channel->round << 32 | (uint32_t)channel->bias);
    if (p->wide)
        value = (int32_t)((sum * channel->multiplier + (1ll << (channel->shift - 1))) >> channel->shift);
    else
        value = scale_by((int32_t)sum, channel->multiplier, channel->shift);
    return (int16_t)clamp(value, p->act_min, p->act_max);
}

/* The same where the compiler has proved that the sum fits 32 bits and brought the shift to 32. */
static inline int16_t requantize_fast_s16(int32_t sum, const struct hil_channel *channel, const struct hil_conv_s16 *p)
{
    int32_t total = sum + channel->bias, value;
    if (p->wide)
        value = smmulr(total, channel->multiplier);
    else
        value = scale_by(total, channel->multiplier, channel->shift);
    return (int16_t)clamp(value, p->act_min, p->act_max);
}

#endif
