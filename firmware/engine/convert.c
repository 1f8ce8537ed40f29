/* From one type to another: with a change of scale, from and to real values, or number by number (CAST). */
#include "requantize.h"

#include <math.h>

#define REQUANTIZE(name, from, to, low, high)                                                                     \
    void name(const struct hil_requantize *p, const from *x, to *y)                                               \
    {                                                                                                             \
        for (uint32_t i = 0; i < p->count; i++) {                                                                 \
            int32_t scaled = scale_by(x[i] - p->in_zero, p->multiplier, p->shift);                                \
            y[i] = (to)clamp(scaled + p->out_zero, low, high);                                                    \
        }                                                                                                         \
    }
REQUANTIZE(hil_requantize_s8_s16, int8_t, int16_t, INT16_MIN, INT16_MAX)
REQUANTIZE(hil_requantize_s8_s32, int8_t, int32_t, INT32_MIN, INT32_MAX)
REQUANTIZE(hil_requantize_s16_s8, int16_t, int8_t, INT8_MIN, INT8_MAX)
REQUANTIZE(hil_requantize_s16_s16, int16_t, int16_t, INT16_MIN, INT16_MAX)
REQUANTIZE(hil_requantize_s16_s32, int16_t, int32_t, INT32_MIN, INT32_MAX)
REQUANTIZE(hil_requantize_s32_s8, int32_t, int8_t, INT8_MIN, INT8_MAX)
REQUANTIZE(hil_requantize_s32_s16, int32_t, int16_t, INT16_MIN, INT16_MAX)

/* Clamped as a float: what doesn't fit an int can't be converted. */
#define QUANTIZE(name, to, low, high)                                                                             \
    void name(const struct hil_quantize *p, const float *x, to *y)                                                \
    {                                                                                                             \
        for (uint32_t i = 0; i < p->count; i++) {                                                                 \
            float steps = roundf(x[i] / p->scale);                                                                \
            steps = steps < -131072.0f ? -131072.0f : steps > 131072.0f ? 131072.0f : steps;                      \
            y[i] = (to)clamp((int32_t)steps + p->zero, low, high);                                                \
        }                                                                                                         \
    }
QUANTIZE(hil_quantize_u8, uint8_t, 0, UINT8_MAX)
QUANTIZE(hil_quantize_s16, int16_t, INT16_MIN, INT16_MAX)

#define DEQUANTIZE(name, from)                                                                                    \
    void name(const struct hil_quantize *p, const from *x, float *y)                                              \
    {                                                                                                             \
        for (uint32_t i = 0; i < p->count; i++)                                                                   \
            y[i] = p->scale * (float)(x[i] - p->zero);                                                            \
    }
DEQUANTIZE(hil_dequantize_u8, uint8_t)
DEQUANTIZE(hil_dequantize_s16, int16_t)

#define CAST(name, from, to)                                                                                      \
    void name(const struct hil_cast *p, const from *x, to *y)                                                     \
    {                                                                                                             \
        for (uint32_t i = 0; i < p->count; i++)                                                                   \
            y[i] = (to)x[i];                                                                                      \
    }
CAST(hil_cast_s8_f32, int8_t, float)
CAST(hil_cast_u8_f32, uint8_t, float)
CAST(hil_cast_s16_f32, int16_t, float)
CAST(hil_cast_s32_f32, int32_t, float)
CAST(hil_cast_s8_s32, int8_t, int32_t)
CAST(hil_cast_u8_s32, uint8_t, int32_t)
CAST(hil_cast_s16_s32, int16_t, int32_t)
CAST(hil_cast_u32_f32, uint32_t, float)
CAST(hil_cast_s32_s8, int32_t, int8_t) /* the lowest bits */
CAST(hil_cast_s32_s16, int32_t, int16_t)

/* As TFLite Micro: what doesn't fit becomes the limit, what is no number 0. C leaves both undefined. */
void hil_cast_f32_s32(const struct hil_cast *p, const float *x, int32_t *y)
{
    for (uint32_t i = 0; i < p->count; i++) {
        const float v = x[i];
        if (v >= 2147483648.0f)
            y[i] = INT32_MAX;
        else if (v >= -2147483648.0f)
            y[i] = (int32_t)v;
        else
            y[i] = v < 0.0f ? INT32_MIN : 0;
    }
}
