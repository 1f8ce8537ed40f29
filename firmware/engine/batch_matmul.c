/* Products of two matrices, both of which may be computed, one pair after the other. */
#include "matmul_f32.h"
#include "requantize.h"

void hil_batch_matmul_s8(const struct hil_batch_matmul *p, const int8_t *x1, const int8_t *x2, int8_t *y)
{
    for (uint32_t b = 0; b < p->batches; b++, x1 += p->first.batch, x2 += p->second.batch) {
        for (uint32_t i = 0; i < p->rows; i++) {
            for (uint32_t j = 0; j < p->columns; j++) {
                const int8_t *u = x1 + i * p->first.line, *v = x2 + j * p->second.line;
                int32_t sum = 0;
                for (uint32_t k = 0; k < p->depth; k++, u += p->first.depth, v += p->second.depth)
                    sum += (*u - p->first_zero) * (*v - p->second_zero);
                sum = scale_by(sum, p->scaling.multiplier, p->scaling.shift) + p->out_zero;
                *y++ = (int8_t)clamp(sum, INT8_MIN, INT8_MAX);
            }
        }
    }
}

void hil_batch_matmul_f32(const struct hil_batch_matmul *p, const float *x1, const float *x2, float *y)
{
    for (uint32_t b = 0; b < p->batches; b++, x1 += p->first.batch, x2 += p->second.batch) {
        for (uint32_t i = 0; i < p->rows; i++) {
            for (uint32_t j = 0; j < p->columns; j++) {
                const float *u = x1 + i * p->first.line, *v = x2 + j * p->second.line;
                float sum = 0.0f;
                for (uint32_t k = 0; k < p->depth; k++, u += p->first.depth, v += p->second.depth)
                    sum = fma_f32(*u, *v, sum);
                *y++ = sum;
            }
        }
    }
}

void hil_batch_matmul_constant_s8(const struct hil_batch_matmul *p, const int8_t *x, int8_t *y)
{
    hil_batch_matmul_s8(p, x, p->constant, y);
}

void hil_batch_matmul_constant_f32(const struct hil_batch_matmul *p, const float *x, float *y)
{
    hil_batch_matmul_f32(p, x, p->constant, y);
}
