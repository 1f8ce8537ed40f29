/* float SVDF: what each filter makes of the inputs is kept for some steps, and weighted over time. */
#include "matmul_f32.h"

void hil_svdf_f32(const struct hil_svdf_f32 *p, const float *x, float *state, float *y)
{
    for (uint32_t b = 0; b < p->batches; b++, x += p->inputs) {
        const float *weights = p->weights, *time = p->time, *bias = p->bias;
        float total = 0.0f, newest[8] = {0};
        uint32_t of_unit = 0;
        for (uint32_t f = 0; f < p->filters; f++) {
            if (f % 8 == 0) {
                for (int i = 0; i < 8; i++)
                    newest[i] = 0.0f;
                weights = matmul_add(newest, x, p->inputs, weights);
            }
            for (uint32_t i = 0; i < p->memory; i++, time++, state++) {
                *state = i + 1 < p->memory ? state[1] : newest[f % 8];
                total = fma_f32(*state, *time, total);
            }
            if (++of_unit < p->rank)
                continue;
            *y++ = clamp_f32(total + *bias++, p->act_min, p->act_max);
            total = 0.0f;
            of_unit = 0;
        }
    }
}
