/* int16 functions of one value or of two; the second of two tensors may be shorter and repeats. Zero points are 0. */
#include "requantize.h"

#define BINARY(name, scaled)                                                                                      \
    void hil_##name##_s16(const struct hil_binary_s16 *p, const int16_t *x1, const int16_t *x2, int16_t *y)       \
    {                                                                                                             \
        for (uint32_t i = 0, j = 0; i < p->count; i++) {                                                          \
            const int32_t a = x1[i], b = x2[j];                                                                   \
            y[i] = (int16_t)clamp(scale_by(scaled, p->multiplier, p->shift), p->act_min, p->act_max);             \
            if (++j == p->period)                                                                                 \
                j = 0;                                                                                            \
        }                                                                                                         \
    }                                                                                                             \
    void hil_##name##_constant_s16(const struct hil_binary_s16 *p, const int16_t *x, int16_t *y)                  \
    {                                                                                                             \
        hil_##name##_s16(p, x, p->constant, y);                                                                   \
    }

/* As TFLite Micro does it: both inputs in 15 more bits, scaled to twice the greater scale. */
#define FIRST scale_by(a * (1 << 15), p->first_multiplier, p->first_shift)
#define SECOND scale_by(b * (1 << 15), p->second_multiplier, p->second_shift)
BINARY(add, FIRST + SECOND)
BINARY(sub, FIRST - SECOND)
BINARY(mul, a *b)

/* ReLU and its relatives, with a change of scale if there is a multiplier. */
void hil_relu_s16(const struct hil_relu_s16 *p, const int16_t *x, int16_t *y)
{
    for (uint32_t i = 0; i < p->count; i++) {
        int32_t value = x[i];
        if (p->multiplier) {
            int below = value < 0;
            value = scale_by(value, below ? p->below_multiplier : p->multiplier, below ? p->below_shift : p->shift);
        }
        y[i] = (int16_t)clamp(value, p->act_min, p->act_max);
    }
}

/* TFLite's fixed-point functions: the input at 1/(3 x 4096), then between two values of a table of the sigmoid at i/24. */
static int32_t table_position(const struct hil_sigmoid_s16 *p, int32_t x)
{
    int32_t half = p->shift > 0 ? 1 << (p->shift - 1) : 0;
    return (x * p->multiplier + half) >> p->shift;
}

void hil_logistic_s16(const struct hil_sigmoid_s16 *p, const int16_t *x, int16_t *y)
{
    for (uint32_t i = 0; i < p->count; i++) {
        int32_t input = table_position(p, x[i]);
        uint32_t distance = (uint32_t)(input < 0 ? -input : input), at = distance >> 9, value = 0x7fffu << 10;
        if (at < 255)
            value = ((uint32_t)p->table[at] << 9) + (distance & 0x1ffu) * (uint32_t)(p->table[at + 1] - p->table[at]);
        value = input < 0 ? (1u << 25) - value + (1u << 9) - 1u : value + (1u << 9);
        y[i] = (int16_t)(value >> 10);
    }
}

/* tanh(x) = 2 sigmoid(2x) - 1 */
void hil_tanh_s16(const struct hil_sigmoid_s16 *p, const int16_t *x, int16_t *y)
{
    for (uint32_t i = 0; i < p->count; i++) {
        int32_t input = table_position(p, x[i]), value = 0xffff << 8;
        uint32_t distance = (uint32_t)(input < 0 ? -input : input), at = distance >> 8;
        if (at < 255)
            value = (p->table[at] << 8) + (int32_t)(distance & 0xffu) * (p->table[at + 1] - p->table[at]);
        value = input < 0 ? -value + (1 << 23) + (1 << 7) - 1 : value - (1 << 23) + (1 << 7);
        y[i] = (int16_t)(value >> 8);
    }
}
