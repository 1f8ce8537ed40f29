/* float hyperbolic tangent. `y` may be `x`. */
#include "hil_engine.h"

#include <math.h>

void hil_tanh_f32(const struct hil_unary_f32 *p, const float *x, float *y)
{
    for (uint32_t i = 0; i < p->count; i++)
        y[i] = tanhf(x[i]);
}
