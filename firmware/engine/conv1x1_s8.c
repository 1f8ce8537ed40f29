/* int8 convolution by a 1 x 1 kernel with stride 1: the input is the matrix, a pixel is a column. */
#include "matmul_s8.h"
#include "product_s8.h"

#ifndef __ARM_ARCH_6M__ /* conv_m0.c */
/* Pixels are spread or copied before their outputs are written, so that `y` may overwrite what is done with of `x`. */
void hil_conv1x1_s8(const struct hil_conv_s8 *p, const int8_t *x, int8_t *y, void *scratch)
{
    uint32_t in_c = p->window.in_c, out_c = p->window.out_c;
    uint32_t quads = (in_c + 3u) / 4u;
    const struct matrix_s8 m = {p->weights, p->channels, &p->quant, out_c, quads};
    uint32_t *columns = scratch;
    uint32_t pixels = (uint32_t)p->window.out_h * p->window.out_w;
    for (; pixels >= 4; pixels -= 4, y += 4 * out_c) {
        for (uint32_t i = 0; i < 4; i++, x += in_c)
            matmul_spread(columns + i, x, quads, 4);
        hil_matmul_four_s8(p, columns, quads, y);
    }
    for (; pixels; pixels--, x += in_c, y += out_c) {
        memcpy(scratch, x, in_c);
        hil_matrix_by_vector_s8(&m, scratch, y);
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
