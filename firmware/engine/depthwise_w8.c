/* float depthwise convolution with int8 weights. An input channel gives out_c / in_c output channels; the fast kernel
 * takes only one. */
#include "matmul_f32.h"

/* Four channels at a time (a multiple of four there are): their sums stay in registers over the window. */
void hil_depthwise_w8(const struct hil_depthwise_w8 *p, const float *x, float *y)
{
    const struct hil_window *w = &p->window;
    for (int32_t oy = 0; oy < w->out_h; oy++) {
        int32_t top = oy * w->stride_h - w->pad_top;
        int32_t y0 = top < 0 ? -top : 0, y1 = w->in_h - top < w->k_h ? w->in_h - top : w->k_h;
        for (int32_t ox = 0; ox < w->out_w; ox++) {
            int32_t left = ox * w->stride_w - w->pad_left;
            int32_t x0 = left < 0 ? -left : 0, x1 = w->in_w - left < w->k_w ? w->in_w - left : w->k_w;
            for (int32_t c = 0; c < w->in_c; c += 4) {
                float sum[4] = {0};
                for (int32_t ky = y0; ky < y1; ky++) {
                    const float *input = x + ((top + ky) * w->in_w + left + x0) * w->in_c + c;
                    const int8_t *weights = p->weights + (ky * w->k_w + x0) * w->in_c + c;
                    for (int32_t n = x1 - x0; n > 0; n--, input += w->in_c, weights += w->in_c) {
#pragma GCC unroll 4
                        for (int i = 0; i < 4; i++)
                            sum[i] = fma_f32(input[i], (float)weights[i], sum[i]);
                    }
                }
#pragma GCC unroll 4
                for (int i = 0; i < 4; i++)
                    *y++ = clamp_f32(fma_f32(sum[i], p->scales[c + i], p->bias[c + i]), p->act_min, p->act_max);
            }
        }
    }
}

void hil_depthwise_w8_plain(const struct hil_depthwise_w8 *p, const float *x, float *y)
{
    const struct hil_window *w = &p->window;
    int32_t multiplier = w->out_c / w->in_c;
    for (int32_t oy = 0; oy < w->out_h; oy++) {
        for (int32_t ox = 0; ox < w->out_w; ox++) {
            int32_t top = oy * w->stride_h - w->pad_top, left = ox * w->stride_w - w->pad_left;
            for (int32_t c = 0; c < w->out_c; c++) {
                float sum = 0.0f;
                for (int32_t ky = 0; ky < w->k_h; ky++) {
                    for (int32_t kx = 0; kx < w->k_w; kx++) {
                        int32_t iy = top + ky, ix = left + kx;
                        if (iy < 0 || iy >= w->in_h || ix < 0 || ix >= w->in_w)
                            continue;
                        float input = x[(iy * w->in_w + ix) * w->in_c + c / multiplier];
                        sum += input * p->weights[(ky * w->k_w + kx) * w->out_c + c];
                    }
                }
                *y++ = clamp_f32(sum * p->scales[c] + p->bias[c], p->act_min, p->act_max);
            }
        }
    }
}
