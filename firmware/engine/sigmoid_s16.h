/* Logistic function and hyperbolic tangent of 16 bits, as the TFLite quantization specification's reference computes
 * them: a line between two entries of a table of 65536 / (1 + exp(-i / 24)). Inputs are signed numbers with 12 bits
 * behind the point, outputs with 15; tanh(x) = 2 x logistic(2x) - 1. */
#ifndef HIL_SIGMOID_S16_H
#define HIL_SIGMOID_S16_H

#include <stdint.h>

/* `value` is three times the input, whose magnitude is 3/4 of what the table is entered with. */
static inline int16_t logistic_s16(const uint16_t *table, int32_t value)
{
    uint32_t magnitude = (uint32_t)(value < 0 ? -value : value), entry = magnitude >> 9;
    uint32_t result = 0x7fffu << 10;
    if (entry < 255)
        result = ((uint32_t)table[entry] << 9) + (magnitude & 511u) * ((uint32_t)table[entry + 1] - table[entry]);
    result = value >= 0 ? result + (1u << 9) : (1u << 25) - result + (1u << 9) - 1u;
    return (int16_t)(result >> 10);
}

static inline int16_t tanh_s16(const uint16_t *table, int32_t value)
{
    uint32_t magnitude = (uint32_t)(value < 0 ? -value : value), entry = magnitude >> 8;
    int32_t result = 0xffff << 8;
    if (entry < 255)
        result = (int32_t)(((uint32_t)table[entry] << 8) +
                           (magnitude & 255u) * ((uint32_t)table[entry + 1] - table[entry]));
    result = value >= 0 ? result - (1 << 23) + (1 << 7) : -result + (1 << 23) + (1 << 7) - 1;
    return (int16_t)(result >> 8);
}

#endif
