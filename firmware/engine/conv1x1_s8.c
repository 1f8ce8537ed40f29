/* int8 convolution by a 1 x 1 kernel with stride 1: the input is the matrix, two pixels are two columns. */
#include "matmul_s8.h"

#ifndef __ARM_ARCH_6M__ /* conv_m0.c */
/* Both pixels are spread before either output is written, so that `y` may overwrite what is done with of `x`. */
void hil_conv1x1_s8(const struct hil_conv_s8 *p, const int8_t *x, int8_t *y, void *scratch)
{
    uint32_t in_c = p->window.in_c, out_c = p->window.out_c;
    uint32_t quads = (in_c + 3u) / 4u;
    uint32_t *columns = scratch;
    uint32_t pixels = (uint32_t)p->window.out_h * p->window.out_w;
    for (; pixels >= 2; pixels -= 2) {
        matmul_spread(columns, x, quads);
        matmul_spread(columns + 1, x + in_c, quads);
        hil_matmul_pixels(p, columns, quads, y, 2);
        x += 2 * in_c;
        y += 2 * out_c;
    }
    if (pixels) {
        matmul_spread(columns, x, quads);
        hil_matmul_pixels(p, columns, quads, y, 1);
    }
}
#endif

/* A pixel is copied before its outputs are written. */
void hil_conv1x1_s8_plain(const struct hil_conv_s8 *p, const int8_t *x, int8_t *y, void *scratch)
{
    int32_t in_c = p->window.in_c, out_c = p->window.out_c;
    int8_t *pixel = scratch;
    for (int32_t left = p->window.out_h * p->window.out_w; left; left--, x += in_c) {
        const int8_t *weights = p->weights;
        memcpy(pixel, x, (uint32_t)in_c);
        for (int32_t c = 0; c < out_c; c++) {
            int32_t sum = p->channels[c].bias;
            for (int32_t i = 0; i < in_c; i++)
                sum += (pixel[i] - p->quant.in_zero) * *weights++;
            *y++ = requantize(sum, &p->channels[c], &p->quant);
        }
    }
}
