/* Sums and greatest values over neighbouring dimensions, and the place of the greatest along the last one. */
#include "hil_engine.h"

void hil_sum_f32(const struct hil_mean_f32 *p, const float *x, float *y)
{
    for (uint32_t c = 0; c < p->channels; c++) {
        float sum = 0.0f;
        for (uint32_t i = 0; i < p->pixels; i++)
            sum += x[i * p->channels + c];
        y[c] = sum;
    }
}

#define REDUCE(suffix, type)                                                                                      \
    void hil_reduce_max_##suffix(const struct hil_mean_f32 *p, const type *x, type *y)                            \
    {                                                                                                             \
        for (uint32_t c = 0; c < p->channels; c++) {                                                              \
            type greatest = x[c];                                                                                 \
            for (uint32_t i = 1; i < p->pixels; i++)                                                              \
                greatest = x[i * p->channels + c] > greatest ? x[i * p->channels + c] : greatest;                 \
            y[c] = greatest;                                                                                      \
        }                                                                                                         \
    }                                                                                                             \
    void hil_arg_max_##suffix(const struct hil_arg_max *p, const type *x, int32_t *y)                             \
    {                                                                                                             \
        for (uint32_t i = 0; i < p->rows; i++, x += p->depth) {                                                   \
            uint32_t at = 0;                                                                                      \
            for (uint32_t j = 1; j < p->depth; j++)                                                               \
                at = x[j] > x[at] ? j : at;                                                                       \
            y[i] = (int32_t)at;                                                                                   \
        }                                                                                                         \
    }
REDUCE(s8, int8_t)
REDUCE(f32, float)
