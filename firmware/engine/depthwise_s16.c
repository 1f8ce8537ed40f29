/* Depthwise convolution of int16 by int8 weights. The fast kernel takes one output of each input channel, four channels at a
 * time: weights are bytes (w0, w2, w1, w3), of which SXTB16 makes (w0, w1) and (w2, w3). */
#include "requantize_s16.h"

void hil_depthwise_s16(const struct hil_conv_s16 *p, const int16_t *x, int16_t *y)
{
    const struct hil_window *w = &p->window;
    uint32_t channels = w->in_c;
    for (int32_t oy = 0; oy < w->out_h; oy++) {
        int32_t top = oy * w->stride_h - w->pad_top;
        int32_t y0 = top < 0 ? -top : 0, y1 = top + w->k_h > w->in_h ? w->in_h - top : w->k_h;
        for (int32_t ox = 0; ox < w->out_w; ox++, y += channels) {
            int32_t left = ox * w->stride_w - w->pad_left;
            int32_t x0 = left < 0 ? -left : 0, x1 = left + w->k_w > w->in_w ? w->in_w - left : w->k_w;
            for (uint32_t c = 0; c < channels; c += 4) {
                int32_t s0 = 0, s1 = 0, s2 = 0, s3 = 0;
                for (int32_t ky = y0; ky < y1; ky++) {
                    const int16_t *input = x + (uint32_t)((top + ky) * w->in_w + left + x0) * channels + c;
                    const int8_t *weights = p->weights + (uint32_t)(ky * w->k_w + x0) * channels + c;
                    for (int32_t n = x1 - x0; n > 0; n--, input += channels, weights += channels) {
                        uint32_t a, b, bytes = load4(weights);
                        LOAD_TWO(a, b, (const uint32_t *)(const void *)input, 0);
                        uint32_t w01 = sxtb16(bytes), w23 = sxtb16_ror8(bytes);
                        s0 = smlabb(a, w01, s0);
                        s1 = smlatt(a, w01, s1);
                        s2 = smlabb(b, w23, s2);
                        s3 = smlatt(b, w23, s3);
                    }
                }
                const struct hil_channel *channel = p->channels + c;
                y[c] = requantize_fast_s16(s0, channel, p);
                y[c + 1] = requantize_fast_s16(s1, channel + 1, p);
                y[c + 2] = requantize_fast_s16(s2, channel + 2, p);
                y[c + 3] = requantize_fast_s16(s3, channel + 3, p);
            }
        }
    }
}

void hil_depthwise_s16_plain(const struct hil_conv_s16 *p, const int16_t *x, int16_t *y)
{
    const struct hil_window *w = &p->window;
    int32_t times = w->out_c / w->in_c;
    for (int32_t oy = 0; oy < w->out_h; oy++) {
        for (int32_t ox = 0; ox < w->out_w; ox++) {
            int32_t top = oy * w->stride_h - w->pad_top, left = ox * w->stride_w - w->pad_left;
            for (int32_t c = 0; c < w->out_c; c++) {
                int64_t sum = 0;
                for (int32_t ky = 0; ky < w->k_h; ky++) {
                    for (int32_t kx = 0; kx < w->k_w; kx++) {
                        int32_t iy = top + ky, ix = left + kx;
                        if (iy < 0 || iy >= w->in_h || ix < 0 || ix >= w->in_w)
                            continue;
                        int32_t input = x[(iy * w->in_w + ix) * w->in_c + c / times];
                        sum += input * p->weights[(ky * w->k_w + kx) * w->out_c + c];
                    }
                }
                *y++ = requantize_s16(sum, &p->channels[c], p);
            }
        }
    }
}
