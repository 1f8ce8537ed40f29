/* Sums and greatest values over neighbouring dimensions, and the place of the greatest along the last one. */
#include "requantize.h"

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
    }
REDUCE(s8, int8_t)
REDUCE(f32, float)

#define ARG(name, type, than)                                                                                     \
    void hil_arg_##name(const struct hil_arg_max *p, const type *x, int32_t *y)                                   \
    {                                                                                                             \
        for (uint32_t i = 0; i < p->rows; i++, x += p->depth) {                                                   \
            uint32_t at = 0;                                                                                      \
            for (uint32_t j = 1; j < p->depth; j++)                                                               \
                at = x[j] than x[at] ? j : at;                                                                    \
            y[i] = (int32_t)at;                                                                                   \
        }                                                                                                         \
    }
ARG(max_s8, int8_t, >)
ARG(max_f32, float, >)
ARG(min_s8, int8_t, <)
ARG(min_f32, float, <)

/* Over any dimensions, each with its step in values. */
#define REDUCE_STRIDED(name, type, sum_type, start, next, result)                                                 \
    void hil_reduce_strided_##name(const struct hil_reduce *p, const type *x, type *y)                            \
    {                                                                                                             \
        const uint32_t *n = p->kept, *s = p->kept_step, *m = p->over, *t = p->over_step;                          \
        for (uint32_t kept = 0; kept < n[0] * n[1] * n[2] * n[3]; kept++) {                                       \
            uint32_t at = kept % n[3] * s[3], rest = kept / n[3];                                                 \
            at += rest % n[2] * s[2] + rest / n[2] % n[1] * s[1] + rest / n[2] / n[1] * s[0];                     \
            sum_type sum = start;                                                                                 \
            for (uint32_t i = 0; i < m[0]; i++)                                                                   \
                for (uint32_t j = 0; j < m[1]; j++)                                                               \
                    for (uint32_t k = 0; k < m[2]; k++)                                                           \
                        for (uint32_t l = 0; l < m[3]; l++) {                                                     \
                            const type v = x[at + i * t[0] + j * t[1] + k * t[2] + l * t[3]];                     \
                            sum = next;                                                                           \
                        }                                                                                         \
            *y++ = result;                                                                                        \
        }                                                                                                         \
    }
REDUCE_STRIDED(sum_f32, float, float, 0.0f, sum + v, sum / p->divisor)
REDUCE_STRIDED(max_f32, float, float, x[at], v > sum ? v : sum, sum)
REDUCE_STRIDED(min_f32, float, float, x[at], v < sum ? v : sum, sum)
REDUCE_STRIDED(max_s8, int8_t, int8_t, x[at], v > sum ? v : sum, sum)
REDUCE_STRIDED(min_s8, int8_t, int8_t, x[at], v < sum ? v : sum, sum)
REDUCE_STRIDED(sum_s8, int8_t, int32_t, -p->zeros, sum + v,
               (int8_t)clamp(scale_by(sum, p->multiplier, p->shift) + p->out_zero, INT8_MIN, INT8_MAX))

/* Running sums along one dimension, forwards or backwards, of the values up to each one or before it. */
void hil_cumsum_f32(const struct hil_cumsum *p, const float *x, float *y)
{
    for (uint32_t i = 0; i < p->rows; i++) {
        for (uint32_t j = 0; j < p->channels; j++) {
            float sum = 0.0f;
            for (uint32_t k = 0; k < p->count; k++) {
                uint32_t at = (i * p->count + (p->reverse ? p->count - 1 - k : k)) * p->channels + j;
                const float v = x[at];
                y[at] = p->exclusive ? sum : sum + v;
                sum += v;
            }
        }
    }
}
