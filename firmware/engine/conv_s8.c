/* int8 convolution, any kernel, stride and padding. */
#include "requantize.h"

#ifndef __ARM_ARCH_6M__ /* conv_m0.c */
#include "columns_s8.h"
#include "product_s8.h"

void hil_conv_s8(const struct hil_conv_s8 *p, const int8_t *x, int8_t *y, void *scratch)
{
    const struct hil_window *w = &p->window;
    struct column f = {.p = p, .x = x, .alternating = 4, .quads = (w->k_w * (uint32_t)w->in_c + 3u) / 4u};
    uint32_t quads = w->k_h * f.quads;
    const struct matrix_s8 m = {p->weights, p->channels, &p->quant, w->out_c, quads};
    uint32_t *columns = scratch;
    uint32_t pixels = (uint32_t)w->out_h * w->out_w; /* left */
    uint32_t waiting = 0;                            /* columns filled and not yet multiplied */
    f.row = (int8_t *)(columns + 8 * quads);
    for (int32_t oy = 0; oy < w->out_h; oy++) {
        int32_t iy = oy * w->stride_h - w->pad_top;
        int32_t ix = -w->pad_left;
        int inside_rows = iy >= 0 && iy + w->k_h <= w->in_h;
        for (int32_t left = w->out_w; left; left--, ix += w->stride_w) {
            if (pixels < 4) { /* the last ones */
                int8_t *vector = scratch;
                for (int32_t ky = 0; ky < w->k_h; ky++)
                    fetch_row(&f, vector + 4 * f.quads * (uint32_t)ky, iy + ky, ix);
                hil_matrix_by_vector_s8(&m, vector, y);
                y += w->out_c;
                continue;
            }
            if (inside_rows && ix >= 0 && ix + w->k_w <= w->in_w)
                fill_inside(&f, columns + waiting, x + (iy * w->in_w + ix) * w->in_c);
            else
                fill_border(&f, columns + waiting, iy, ix);
            if (++waiting == 4) {
                hil_matmul_four_s8(p, columns, quads, y);
                y += 4 * w->out_c;
                pixels -= 4;
                waiting = 0;
            }
        }
    }
}
#endif

void hil_conv_s8_plain(const struct hil_conv_s8 *p, const int8_t *x, int8_t *y, void *scratch)
{
    const struct hil_window *w = &p->window;
    (void)scratch;
    for (int32_t oy = 0; oy < w->out_h; oy++) {
        for (int32_t ox = 0; ox < w->out_w; ox++) {
            int32_t top = oy * w->stride_h - w->pad_top, left = ox * w->stride_w - w->pad_left;
            const int8_t *weights = p->weights;
            for (int32_t c = 0; c < w->out_c; c++) {
                int32_t sum = p->channels[c].bias;
                for (int32_t ky = 0; ky < w->k_h; ky++) {
                    for (int32_t kx = 0; kx < w->k_w; kx++, weights += w->in_c) {
                        int32_t iy = top + ky, ix = left + kx;
                        if (iy < 0 || iy >= w->in_h || ix < 0 || ix >= w->in_w)
                            continue;
                        const int8_t *input = x + (iy * w->in_w + ix) * w->in_c;
                        for (int32_t i = 0; i < w->in_c; i++)
                            sum += (input[i] - p->quant.in_zero) * weights[i];
                    }
                }
                *y++ = requantize(sum, &p->channels[c], &p->quant);
            }
        }
    }
}
