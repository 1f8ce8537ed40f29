/* int16 functions of one value or of two; the second of two tensors may be shorter and repeats. Zero points are 0. */
#include "requantize.h"
#include "sigmoid_s16.h"

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

static int32_t table_position(const struct hil_sigmoid_s16 *p, int32_t x)
{
    int32_t half = p->shift > 0 ? 1 << (p->shift - 1) : 0;
    return (x * p->multiplier + half) >> p->shift;
}

void hil_logistic_s16(const struct hil_sigmoid_s16 *p, const int16_t *x, int16_t *y)
{
    for (uint32_t i = 0; i < p->count; i++)
        y[i] = logistic_s16(p->table, table_position(p, x[i]));
}

void hil_tanh_s16(const struct hil_sigmoid_s16 *p, const int16_t *x, int16_t *y)
{
    for (uint32_t i = 0; i < p->count; i++)
        y[i] = tanh_s16(p->table, table_position(p, x[i]));
}
