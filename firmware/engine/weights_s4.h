/* Weights of 4 bits, two in a byte: they stay packed in flash and are unpacked where they are used.
 *
 * Fast kernels of matrices read a word for four inputs of two output channels: in byte i the even channel's weight of input i is
 * the lower half, the odd one's the upper half. Both are taken as 16 times the weight, which costs one AND each. */
#ifndef HIL_WEIGHTS_S4_H
#define HIL_WEIGHTS_S4_H

#include "requantize.h"

static inline uint32_t even_weights(uint32_t word)
{
    return (word << 4) & 0xf0f0f0f0u;
}

static inline uint32_t odd_weights(uint32_t word)
{
    return word & 0xf0f0f0f0u;
}

/* Weight `index` as the file stores them, the even one in the lower half. */
static inline int32_t weight_s4(const int8_t *weights, uint32_t index)
{
    uint32_t byte = (uint8_t)weights[index / 2u];
    return (int8_t)(uint8_t)(index & 1u ? byte & 0xf0u : byte << 4) / 16;
}

ALWAYS_INLINE int8_t output_s4(int32_t sum, const struct hil_channel *channel, const struct hil_quant *quant)
{
    sum = (sum >> 4) + channel->bias;
    return quant->fast ? requantize_fast(sum, channel) : requantize(sum, channel, quant);
}

#endif
