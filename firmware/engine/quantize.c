/* From float to int8 and back. */
#include "requantize.h"

#include <math.h>

void hil_quantize_s8(const struct hil_quantize *p, const float *x, int8_t *y)
{
    for (uint32_t i = 0; i < p->count; i++) {
        float steps = roundf(x[i] / p->scale);
        /* Clamped as a float: what doesn't fit an int can't be converted. */
        steps = steps < -1024.0f ? -1024.0f : steps > 1024.0f ? 1024.0f : steps;
        y[i] = (int8_t)clamp((int32_t)steps + p->zero, -128, 127);
    }
}

void hil_dequantize_s8(const struct hil_quantize *p, const int8_t *x, float *y)
{
    for (uint32_t i = 0; i < p->count; i++)
        y[i] = p->scale * (float)(x[i] - p->zero);
}
