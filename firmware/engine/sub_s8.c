/* int8 difference of two tensors of the same shape, or of a tensor and a shorter one that repeats. */
#include "requantize.h"

/* The fast sum, with a negative factor for the second input. */
void hil_sub_s8(const struct hil_add_s8 *p, const int8_t *x1, const int8_t *x2, int8_t *y)
{
    hil_add_s8(p, x1, x2, y);
}

void hil_sub_constant_s8(const struct hil_add_s8 *p, const int8_t *x, int8_t *y)
{
    hil_add_s8(p, x, p->constant, y);
}

/* As TFLite Micro does it: both inputs in 20 more bits, scaled to twice the greater scale. */
void hil_sub_s8_plain(const struct hil_add_s8 *p, const int8_t *x1, const int8_t *x2, int8_t *y)
{
    uint32_t second = 0;
    for (uint32_t i = 0; i < p->count; i++) {
        int32_t a = (x1[i] - p->first_zero) * (1 << 20), b = (x2[second] - p->second_zero) * (1 << 20);
        int32_t sum = scale_by(a, p->first_multiplier, p->first_shift) - scale_by(b, p->second_multiplier, p->second_shift);
        y[i] = (int8_t)clamp(scale_by(sum, p->multiplier, p->shift) + p->out_zero, p->act_min, p->act_max);
        if (++second == p->period)
            second = 0;
    }
}

void hil_sub_constant_s8_plain(const struct hil_add_s8 *p, const int8_t *x, int8_t *y)
{
    hil_sub_s8_plain(p, x, p->constant, y);
}
