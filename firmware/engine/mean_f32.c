/* float mean over height and width. */
#include "hil_engine.h"

void hil_mean_f32(const struct hil_mean_f32 *p, const float *x, float *y)
{
    for (uint32_t c = 0; c < p->channels; c++) {
        float sum = 0.0f;
        const float *input = x + c;
        for (uint32_t n = p->pixels; n; n--, input += p->channels)
            sum += *input;
        *y++ = sum / (float)p->pixels;
    }
}
