/* int8 convolution by weights of 4 bits, in the columns of the int8 one. */
#include "weights_s4.h"

#ifndef __ARM_ARCH_6M__ /* conv_m0.c */
#include "columns_s8.h"

struct sums_s4 { /* 16 times those of the even and the odd channel, for the first and the second column */
    int32_t even0, odd0, even1, odd1;
};

ALWAYS_INLINE void add_quad(struct sums_s4 *s, const uint32_t *columns, uint32_t word)
{
    uint32_t even = even_weights(word), odd = odd_weights(word), w, x0, x1;
    LOAD_TWO(x0, x1, columns, 0);
    w = sxtb16(even);
    s->even0 = smlad(w, x0, s->even0);
    s->even1 = smlad(w, x1, s->even1);
    w = sxtb16(odd);
    s->odd0 = smlad(w, x0, s->odd0);
    s->odd1 = smlad(w, x1, s->odd1);
    LOAD_TWO(x0, x1, columns, 2);
    w = sxtb16_ror8(even);
    s->even0 = smlad(w, x0, s->even0);
    s->even1 = smlad(w, x1, s->even1);
    w = sxtb16_ror8(odd);
    s->odd0 = smlad(w, x0, s->odd0);
    s->odd1 = smlad(w, x1, s->odd1);
}

/* All output channels of one pixel or of two; a lone one is written over the other's garbage. */
static void matmul_pixels(const struct hil_conv_s8 *p, const uint32_t *columns, uint32_t quads, int8_t *y, int two)
{
    const uint32_t *weights = (const uint32_t *)(const void *)p->weights;
    const struct hil_channel *channel = p->channels;
    uint32_t out_c = p->window.out_c;
    int8_t *y1 = two ? y + out_c : y;
    for (uint32_t c = 0; c < out_c; c += 2, channel += 2) {
        struct sums_s4 s = {0, 0, 0, 0};
        const uint32_t *x = columns, *end = weights + quads;
        for (; weights != end; weights++, x += 4) /* one at a time: two take more registers than there are */
            add_quad(&s, x, *weights);
        y1[c] = output_s4(s.even1, channel, &p->quant);
        y[c] = output_s4(s.even0, channel, &p->quant);
        if (c + 1 == out_c)
            break;
        y1[c + 1] = output_s4(s.odd1, channel + 1, &p->quant);
        y[c + 1] = output_s4(s.odd0, channel + 1, &p->quant);
    }
}

void hil_conv_s4(const struct hil_conv_s8 *p, const int8_t *x, int8_t *y, void *scratch)
{
    const struct hil_window *w = &p->window;
    struct column f = {.p = p, .x = x, .alternating = 2, .quads = (w->k_w * (uint32_t)w->in_c + 3u) / 4u};
    uint32_t quads = w->k_h * f.quads, *columns = scratch, waiting = 0;
    f.row = (int8_t *)(columns + 4 * quads);
    for (int32_t oy = 0; oy < w->out_h; oy++) {
        int32_t iy = oy * w->stride_h - w->pad_top, ix = -w->pad_left;
        int inside_rows = iy >= 0 && iy + w->k_h <= w->in_h;
        for (int32_t left = w->out_w; left; left--, ix += w->stride_w) {
            if (inside_rows && ix >= 0 && ix + w->k_w <= w->in_w)
                fill_inside(&f, columns + waiting, x + (iy * w->in_w + ix) * w->in_c);
            else
                fill_border(&f, columns + waiting, iy, ix);
            waiting ^= 1u;
            if (!waiting) {
                matmul_pixels(p, columns, quads, y, 1);
                y += 2 * w->out_c;
            }
        }
    }
    if (waiting)
        matmul_pixels(p, columns, quads, y, 0);
}

void hil_conv1x1_s4(const struct hil_conv_s8 *p, const int8_t *x, int8_t *y, void *scratch)
{
    uint32_t in_c = p->window.in_c, quads = (in_c + 3u) / 4u, *columns = scratch;
    uint32_t pixels = (uint32_t)p->window.out_h * p->window.out_w;
    for (; pixels; x += 2 * in_c, y += 2 * p->window.out_c) {
        int two = pixels > 1;
        matmul_spread(columns, x, quads, 2);
        if (two)
            matmul_spread(columns + 1, x + in_c, quads, 2);
        matmul_pixels(p, columns, quads, y, two);
        pixels -= two ? 2 : 1;
    }
}
#endif

void hil_conv_s4_plain(const struct hil_conv_s8 *p, const int8_t *x, int8_t *y, void *scratch)
{
    const struct hil_window *w = &p->window;
    (void)scratch;
    for (int32_t oy = 0; oy < w->out_h; oy++) {
        for (int32_t ox = 0; ox < w->out_w; ox++) {
            int32_t top = oy * w->stride_h - w->pad_top, left = ox * w->stride_w - w->pad_left;
            uint32_t weight = 0;
            for (int32_t c = 0; c < w->out_c; c++) {
                int32_t sum = p->channels[c].bias;
                for (int32_t ky = 0; ky < w->k_h; ky++) {
                    for (int32_t kx = 0; kx < w->k_w; kx++, weight += w->in_c) {
                        int32_t iy = top + ky, ix = left + kx;
                        if (iy < 0 || iy >= w->in_h || ix < 0 || ix >= w->in_w)
                            continue;
                        const int8_t *input = x + (iy * w->in_w + ix) * w->in_c;
                        for (uint32_t i = 0; i < w->in_c; i++)
                            sum += (input[i] - p->quant.in_zero) * weight_s4(p->weights, weight + i);
                    }
                }
                *y++ = requantize(sum, &p->channels[c], &p->quant);
            }
        }
    }
}
