/* float x times ReLU6(x + 3) / 6. `y` may be `x`. */
#include "matmul_f32.h"

void hil_hard_swish_f32(const struct hil_unary_f32 *p, const float *x, float *y)
{
    for (uint32_t i = 0; i < p->count; i++)
        y[i] = x[i] * clamp_f32(x[i] + 3.0f, 0.0f, 6.0f) * (1.0f / 6.0f);
}
