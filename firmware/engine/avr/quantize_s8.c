/* From float to int8 and back, and from one int8 scale to another. */
#include "requantize.h"

#include <math.h>

void hil_quantize_s8(const HIL_FLASH struct hil_quantize *p, const float *x, int8_t *y)
{
    for (uint16_t left = (uint16_t)p->count; left != 0; left--) {
        float steps = roundf(*x++ / p->scale);
        /* Clamped as a float: what doesn't fit an int can't be converted. */
        steps = steps < -1024.0f ? -1024.0f : steps > 1024.0f ? 1024.0f : steps;
        *y++ = (int8_t)clamp((int32_t)steps + p->zero, -128, 127);
    }
}

void hil_dequantize_s8(const HIL_FLASH struct hil_quantize *p, const int8_t *x, float *y)
{
    for (uint16_t left = (uint16_t)p->count; left != 0; left--)
        *y++ = p->scale * (float)(*x++ - p->zero);
}
