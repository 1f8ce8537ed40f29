/* float sum of two tensors of the same shape, or of a tensor and a shorter one that repeats. */
#include "matmul_f32.h"

#include <math.h>

/* `y` may be `x1`. */
static void add_run(const struct hil_binary_f32 *p, const float *x1, const float *x2, float *y, uint32_t n)
{
    if (p->act_min == -INFINITY && p->act_max == INFINITY) {
#pragma GCC unroll 4
        for (uint32_t i = 0; i < n; i++)
            y[i] = x1[i] + x2[i];
        return;
    }
    for (uint32_t i = 0; i < n; i++)
        y[i] = clamp_f32(x1[i] + x2[i], p->act_min, p->act_max);
}

void hil_add_f32(const struct hil_binary_f32 *p, const float *x1, const float *x2, float *y)
{
    for (uint32_t at = 0; at < p->count; at += p->period)
        add_run(p, x1 + at, x2, y + at, p->period);
}

void hil_add_constant_f32(const struct hil_binary_f32 *p, const float *x, float *y)
{
    hil_add_f32(p, x, p->constant, y);
}
