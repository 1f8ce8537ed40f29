/* float matrix by vector, the matrix in float or in int8. */
#include "hil_engine.h"

/* NaN stays NaN: both comparisons fail. */
static float clamp_f32(float value, float low, float high)
{
    value = value < low ? low : value;
    return value > high ? high : value;
}

void hil_fully_connected_f32_plain(const HIL_FLASH struct hil_fully_connected_f32 *p, const float *x, float *y)
{
    const uint16_t depth = (uint16_t)p->depth, outputs = (uint16_t)p->outputs;
    for (uint16_t row = (uint16_t)p->rows; row != 0; row--, x += depth) {
        const HIL_FLASH float *weights = p->weights;
        for (uint16_t c = 0; c < outputs; c++) {
            float sum = 0.0f;
            for (uint16_t i = 0; i < depth; i++)
                sum += x[i] * *weights++;
            *y++ = clamp_f32(sum + p->bias[c], p->act_min, p->act_max);
        }
    }
}

void hil_fully_connected_w8_plain(const HIL_FLASH struct hil_fully_connected_w8 *p, const float *x, float *y)
{
    const uint16_t depth = (uint16_t)p->depth, outputs = (uint16_t)p->outputs;
    for (uint16_t row = (uint16_t)p->rows; row != 0; row--, x += depth) {
        const HIL_FLASH int8_t *weights = p->weights;
        for (uint16_t c = 0; c < outputs; c++) {
            float sum = 0.0f;
            for (uint16_t i = 0; i < depth; i++)
                sum += x[i] * (float)*weights++;
            *y++ = clamp_f32(sum * p->scales[c] + p->bias[c], p->act_min, p->act_max);
        }
    }
}
