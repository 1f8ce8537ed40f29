/* The int8 depthwise convolution of any number of channels, each with any number of outputs: the function DEPTHWISE, whose
 * weights LOAD_WEIGHTS(weights, index) takes, those of four channels as bytes. */
#ifndef HIL_DEPTHWISE_ANY_S8_H
#define HIL_DEPTHWISE_ANY_S8_H

#include "depthwise_s8.h"

/* Four output channels at a time, as in depthwise_s8.c. Their inputs are gathered byte by byte: with several outputs of
 * an input channel they are not neighbours. A last group may have fewer; it computes four and writes what there is. */
struct group {
    const struct hil_depthwise_s8 *p;
    int32_t first, count; /* output channels */
    int32_t from[4];      /* the input channel of each */
};

static void load_row(const struct group *g, const struct band *band, int32_t iy)
{
    const struct hil_window *w = band->window;
    uint32_t *row = band_row(band, iy);
    if (iy < 0 || iy >= w->in_h) {
        memset(row, 0, (uint32_t)band->width * 8u);
        return;
    }
    const int8_t *x = band->x + iy * w->in_w * w->in_c;
    const int8_t *x0 = x + g->from[0], *x1 = x + g->from[1], *x2 = x + g->from[2], *x3 = x + g->from[3];
    int32_t zero = g->p->quant.in_zero, in_c = w->in_c;
    int32_t pixels = band->width - w->pad_left; /* with the padding on the right */
    row += 2 * w->pad_left;
    for (int32_t n = pixels < w->in_w ? pixels : w->in_w; n > 0; n--) {
        row[0] = ((uint32_t)(*x0 - zero) & 0xffffu) | ((uint32_t)(*x2 - zero) << 16);
        row[1] = ((uint32_t)(*x1 - zero) & 0xffffu) | ((uint32_t)(*x3 - zero) << 16);
        row += 2;
        x0 += in_c;
        x1 += in_c;
        x2 += in_c;
        x3 += in_c;
    }
}

static void write_row(const struct group *g, const struct band *band, int32_t top, const uint32_t *weights, int8_t *y)
{
    const struct hil_window *w = band->window;
    const struct hil_channel *channel = g->p->channels + g->first;
    for (int32_t ox = 0; ox < w->out_w; ox++, y += w->out_c) {
        struct sums s = {0, 0, 0, 0};
        const uint32_t *taps = weights;
        for (int32_t ky = 0; ky < w->k_h; ky++) {
            const uint32_t *x = band_row(band, top + ky) + 2 * ox * w->stride_w;
            for (int32_t kx = w->k_w; kx; kx--, x += 2, taps += 2)
                add_tap(&s, x, 0, taps, 0);
        }
        const int32_t sum[4] = {s.c0, s.c1, s.c2, s.c3};
        for (int32_t i = 0; i < g->count; i++)
            y[i] = output(sum[i], channel + i, &g->p->quant, g->p->quant.fast);
    }
}

void DEPTHWISE(const struct hil_depthwise_s8 *p, const int8_t *x, int8_t *y, void *scratch)
{
    const struct hil_window *w = &p->window;
    int32_t taps = w->k_h * w->k_w, times = w->out_c / w->in_c;
    int32_t pitch = (w->out_c + 3) / 4 * 4; /* of the weights */
    uint32_t *weights = scratch;
    struct band band = {
        .window = w,
        .x = x,
        .words = weights + 2 * taps,
        .width = (w->out_w - 1) * w->stride_w + w->k_w,
    };
    memset(band.words, 0, (uint32_t)(w->k_h * band.width) * 8u);
    for (int32_t c = 0; c < w->out_c; c += 4) {
        struct group g = {.p = p, .first = c, .count = w->out_c - c < 4 ? w->out_c - c : 4};
        for (int32_t i = 0; i < 4; i++)
            g.from[i] = (i < g.count ? c + i : c) / times;
        for (int32_t tap = 0; tap < taps; tap++) {
            uint32_t bytes = LOAD_WEIGHTS(p->weights, tap * pitch + c);
            weights[2 * tap] = sxtb16(bytes);
            weights[2 * tap + 1] = sxtb16_ror8(bytes);
        }
        int32_t loaded = -w->pad_top; /* the next row that the band doesn't have */
        for (int32_t oy = 0; oy < w->out_h; oy++) {
            int32_t top = oy * w->stride_h - w->pad_top;
            if (loaded < top)
                loaded = top;
            for (; loaded < top + w->k_h; loaded++)
                load_row(&g, &band, loaded);
            write_row(&g, &band, top, weights, y + oy * w->out_w * w->out_c + c);
        }
    }
}

#endif
