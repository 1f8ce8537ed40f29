/* int8 depthwise convolution by weights of 4 bits, which are spread four channels at a time. */
#include "weights_s4.h"

#ifndef __ARM_ARCH_6M__ /* depthwise_m0.c */
/* Four weights of 4 bits as bytes. */
ALWAYS_INLINE uint32_t four_bytes(const int8_t *weights, int32_t index)
{
    const int8_t *pair = weights + index / 2;
    uint32_t bits = (uint8_t)pair[0] | (uint32_t)(uint8_t)pair[1] << 8;
    uint32_t spread = (bits & 0xfu) | (bits & 0xf0u) << 4 | (bits & 0xf00u) << 8 | (bits & 0xf000u) << 12;
    /* (n ^ 8) - 8 is the signed value; the upper bits keep a byte from borrowing of its neighbour. */
    return (((spread ^ 0x08080808u) | 0x80808080u) - 0x08080808u) ^ 0x80808080u;
}

#define DEPTHWISE hil_depthwise_s4
#define LOAD_WEIGHTS four_bytes
#include "depthwise_any_s8.h"
#endif

void hil_depthwise_s4_plain(const struct hil_depthwise_s8 *p, const int8_t *x, int8_t *y, void *scratch)
{
    const struct hil_window *w = &p->window;
    int32_t times = w->out_c / w->in_c, pitch = (w->out_c + 3) / 4 * 4;
    (void)scratch;
    for (int32_t oy = 0; oy < w->out_h; oy++) {
        for (int32_t ox = 0; ox < w->out_w; ox++) {
            int32_t top = oy * w->stride_h - w->pad_top, left = ox * w->stride_w - w->pad_left;
            for (int32_t c = 0; c < w->out_c; c++) {
                int32_t sum = p->channels[c].bias;
                for (int32_t ky = 0; ky < w->k_h; ky++) {
                    for (int32_t kx = 0; kx < w->k_w; kx++) {
                        int32_t iy = top + ky, ix = left + kx;
                        if (iy < 0 || iy >= w->in_h || ix < 0 || ix >= w->in_w)
                            continue;
                        int32_t input = x[(iy * w->in_w + ix) * w->in_c + c / times] - p->quant.in_zero;
                        sum += input * weight_s4(p->weights, (uint32_t)((ky * w->k_w + kx) * pitch + c));
                    }
                }
                *y++ = requantize(sum, &p->channels[c], &p->quant);
            }
        }
    }
}
