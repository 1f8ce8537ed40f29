/* float softmax over the last dimension. */
#include "hil_engine.h"

#include <math.h>

void hil_softmax_f32(const struct hil_softmax_f32 *p, const float *x, float *y)
{
    for (uint32_t row = 0; row < p->rows; row++, x += p->depth, y += p->depth) {
        float greatest = x[0], sum = 0.0f;
        for (uint32_t i = 1; i < p->depth; i++)
            greatest = x[i] > greatest ? x[i] : greatest;
        for (uint32_t i = 0; i < p->depth; i++) {
            y[i] = expf((x[i] - greatest) * p->beta);
            sum += y[i];
        }
        for (uint32_t i = 0; i < p->depth; i++)
            y[i] = y[i] / sum;
    }
}

/* Their logarithms. */
void hil_log_softmax_f32(const struct hil_softmax_f32 *p, const float *x, float *y)
{
    for (uint32_t i = 0; i < p->rows; i++, x += p->depth, y += p->depth) {
        float greatest = x[0], sum = 0.0f;
        for (uint32_t j = 1; j < p->depth; j++)
            greatest = x[j] > greatest ? x[j] : greatest;
        for (uint32_t j = 0; j < p->depth; j++)
            sum += expf(x[j] - greatest);
        const float all = logf(sum);
        for (uint32_t j = 0; j < p->depth; j++)
            y[j] = x[j] - greatest - all;
    }
}
