/* float ReLU and its relatives, sigmoid and softmax. Where there are as many outputs as inputs `y` may be `x`. */
#include "hil_engine.h"

#include <math.h>

void hil_relu_f32(const HIL_FLASH struct hil_unary_f32 *p, const float *x, float *y)
{
    for (uint16_t left = (uint16_t)p->count; left != 0; left--) {
        const float value = *x++, low = p->act_min, high = p->act_max;
        const float raised = value < low ? low : value;
        *y++ = raised > high ? high : raised;
    }
}

void hil_logistic_f32(const HIL_FLASH struct hil_unary_f32 *p, const float *x, float *y)
{
    for (uint16_t left = (uint16_t)p->count; left != 0; left--)
        *y++ = 1.0f / (1.0f + expf(-*x++));
}

void hil_softmax_f32(const HIL_FLASH struct hil_softmax_f32 *p, const float *x, float *y)
{
    const uint16_t depth = (uint16_t)p->depth;
    for (uint16_t row = (uint16_t)p->rows; row != 0; row--, x += depth, y += depth) {
        float greatest = x[0], sum = 0.0f;
        for (uint16_t i = 1; i < depth; i++)
            greatest = x[i] > greatest ? x[i] : greatest;
        for (uint16_t i = 0; i < depth; i++) {
            y[i] = expf((x[i] - greatest) * p->beta);
            sum += y[i];
        }
        for (uint16_t i = 0; i < depth; i++)
            y[i] /= sum;
    }
}
