/* float LSTM. What each unit gives goes into the output, where the next step reads it. */
#include "matmul_f32.h"

#include <math.h>
#include <string.h>

static inline float logistic(float x)
{
    return 1.0f / (1.0f + expf(-x));
}

static void step(const struct hil_lstm_f32 *p, const float *x, const float *before, float *cell, float *now)
{
    const float *weights = p->weights, *recurrent = p->recurrent_weights;
    for (uint32_t u = 0; u < p->units; u += 2) {
        float sum[8] = {0};
        weights = matmul_add(sum, x, p->inputs, weights);
        recurrent = matmul_add(sum, before, p->units, recurrent);
        for (uint32_t i = 0; i < 2 && u + i < p->units; i++) {
            const float *bias = p->bias + 4 * (u + i), *gates = sum + 4 * i; /* input, forget, cell, output */
            float kept = logistic(gates[1] + bias[1]) * cell[u + i];
            float added = logistic(gates[0] + bias[0]) * tanhf(gates[2] + bias[2]);
            cell[u + i] = clamp_f32(kept + added, -p->cell_clip, p->cell_clip);
            now[u + i] = logistic(gates[3] + bias[3]) * tanhf(cell[u + i]);
        }
    }
}

void hil_lstm_f32(const struct hil_lstm_f32 *p, const float *x, float *hidden, float *cell, float *y)
{
    for (uint32_t b = 0; b < p->batches; b++, hidden += p->units, cell += p->units) {
        const float *before = hidden;
        for (uint32_t t = 0; t < p->steps; t++) {
            uint32_t at = b * p->batch_stride + t * p->step_stride;
            step(p, x + at * p->inputs, before, cell, y + at * p->units);
            before = y + at * p->units;
        }
        memcpy(hidden, before, p->units * sizeof *hidden);
    }
}
