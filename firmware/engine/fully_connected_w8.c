/* float matrix by vector, the matrix in int8. */
#include "matmul_w8.h"

void hil_fully_connected_w8(const struct hil_fully_connected_w8 *p, const float *x, float *y)
{
    struct matmul_w8 m = {p->weights, p->scales, p->bias, p->depth, p->outputs, p->act_min, p->act_max};
    for (uint32_t row = 0; row < p->rows; row++)
        matmul_one_w8(&m, x + row * p->depth, y + row * p->outputs);
}

void hil_fully_connected_w8_plain(const struct hil_fully_connected_w8 *p, const float *x, float *y)
{
    for (uint32_t row = 0; row < p->rows; row++, x += p->depth) {
        const int8_t *weights = p->weights;
        for (uint32_t c = 0; c < p->outputs; c++) {
            float sum = 0.0f;
            for (uint32_t i = 0; i < p->depth; i++)
                sum += x[i] * *weights++;
            *y++ = clamp_f32(sum * p->scales[c] + p->bias[c], p->act_min, p->act_max);
        }
    }
}
