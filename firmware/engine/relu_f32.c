/* float ReLU and its relatives. `y` may be `x`. */
#include "matmul_f32.h"

void hil_relu_f32(const struct hil_unary_f32 *p, const float *x, float *y)
{
    for (uint32_t i = 0; i < p->count; i++)
        y[i] = clamp_f32(x[i], p->act_min, p->act_max);
}

void hil_leaky_relu_f32(const struct hil_unary_f32 *p, const float *x, float *y)
{
    for (uint32_t i = 0; i < p->count; i++)
        y[i] = x[i] < 0.0f ? x[i] * p->alpha : x[i];
}
