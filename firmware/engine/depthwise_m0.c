/* The int8 depthwise convolutions on Armv6-M: depthwise_s8.c, depthwise_3x3_s8.c, depthwise_any_s8.c, depthwise_s4.c. */
#ifdef __ARM_ARCH_6M__

#include "weights_s4.h"

/* One output channel at a time, through a band of as many padded rows of its input channel as the kernel has: a word for each
 * pixel, less the zero point, so that padding is zero and no border needs a case of its own. The band is a ring: each
 * output row brings in only the rows that are new. */
struct band {
    const struct hil_window *window;
    const int8_t *x; /* of the channel */
    int32_t *words, *end;
    int32_t zero, width; /* padded, in pixels */
};

static int32_t *next_row(const struct band *band, int32_t *row)
{
    row += band->width;
    return row == band->end ? band->words : row;
}

/* The padding on the left and on the right is zero from the start and is never written. */
__attribute__((noinline)) static void load_row(const struct band *band, int32_t *row, int32_t iy)
{
    const struct hil_window *w = band->window;
    if (iy < 0 || iy >= w->in_h) {
        memset(row, 0, (uint32_t)band->width * 4u);
        return;
    }
    const int8_t *x = band->x + iy * w->in_w * w->in_c;
    int32_t zero = band->zero, in_c = w->in_c, pixels = band->width - w->pad_left; /* with the padding on the right */
    row += w->pad_left;
    for (int32_t n = pixels < w->in_w ? pixels : w->in_w; n > 0; n--, x += in_c)
        *row++ = *x - zero;
}

/* A row of outputs of one channel: from the rows that the kernel sees. */
struct line {
    const struct band *band;
    int32_t *top; /* the first of them */
    const int32_t *weights;
    const struct hil_channel *channel;
    const struct hil_quant *quant;
    int8_t *y;
};

/* By one row of the kernel, two outputs, which stand `step` inputs apart: a weight is loaded once for both. */
ALWAYS_INLINE void add_taps(int32_t sum[2], const int32_t *x, const int32_t *weights, const int32_t taps, const uint32_t step)
{
    const int32_t *next = x + step;
#pragma GCC unroll 3
    for (int32_t i = 0; i < taps; i++) {
        int32_t weight = weights[i];
        sum[0] += x[i] * weight;
        sum[1] += next[i] * weight;
        __asm__ volatile("" ::: "memory"); /* no loading ahead, for which there are no registers */
    }
}

/* At least two outputs. */
ALWAYS_INLINE void write_pairs(const struct line *line, const int is_3x3, const uint32_t step)
{
    const struct hil_window *w = line->band->window;
    int32_t *row0 = line->top, *row1 = next_row(line->band, row0), *row2 = next_row(line->band, row1);
    uint32_t at = 0, last = w->out_w - 2u, out_c = w->out_c;
    int8_t *y = line->y;
    for (uint32_t ox = 0;;) {
        const int32_t *weights = line->weights;
        int32_t sum[2] = {0, 0};
        if (is_3x3) {
            add_taps(sum, row0 + at, weights, 3, step);
            add_taps(sum, row1 + at, weights + 3, 3, step);
            add_taps(sum, row2 + at, weights + 6, 3, step);
        } else {
            int32_t *row = line->top;
            for (uint32_t ky = w->k_h; ky; ky--, row = next_row(line->band, row), weights += w->k_w)
                add_taps(sum, row + at, weights, w->k_w, step);
        }
        uint32_t out = requantize_two(sum[0], sum[1], line->channel, line->quant);
        y[0] = (int8_t)out;
        y[out_c] = (int8_t)(out >> 8);
        if (ox == last)
            return;
        uint32_t ahead = ox + 1u == last ? 1 : 2; /* the last of an odd number makes a pair with the one before, again */
        ox += ahead;
        at += ahead * step;
        y += ahead * out_c;
    }
}

__attribute__((noinline)) static void write_3x3_close(const struct line *line)
{
    write_pairs(line, 1, 1);
}

__attribute__((noinline)) static void write_3x3_apart(const struct line *line)
{
    write_pairs(line, 1, 2);
}

__attribute__((noinline)) static void write_any(const struct line *line)
{
    write_pairs(line, 0, line->band->window->stride_w);
}

/* The only output of a row, as in a series. */
__attribute__((noinline)) static void write_one(const struct line *line)
{
    const struct band *band = line->band;
    const int32_t *weights = line->weights, *end = weights + band->window->k_h * band->window->k_w;
    int32_t sum = 0, *row = line->top;
    while (weights != end) {
        const int32_t *x = row;
        for (uint32_t left = band->window->k_w; left; left--)
            sum += *x++ * *weights++;
        row = next_row(band, row);
    }
    *line->y = requantize_one(sum, line->channel, line->quant);
}

static void write_line(const struct line *line)
{
    const struct hil_window *w = line->band->window;
    int is_3x3 = w->k_h == 3 && w->k_w == 3;
    if (w->out_w == 1)
        write_one(line);
    else if (is_3x3 && w->stride_w == 1)
        write_3x3_close(line);
    else if (is_3x3 && w->stride_w == 2)
        write_3x3_apart(line);
    else
        write_any(line);
}

typedef int32_t reading(const int8_t *weights, uint32_t index);

static int32_t weight_s8(const int8_t *weights, uint32_t index)
{
    return weights[index];
}

/* An input row is in the band before an output row is written over it, so `y` may be `x` where a channel has one output. */
__attribute__((noinline)) static void depthwise(const struct hil_depthwise_s8 *p, const int8_t *x, int8_t *y, void *scratch, int32_t pitch,
                      reading *weight)
{
    const struct hil_window *w = &p->window;
    int32_t taps = w->k_h * w->k_w, times = w->out_c / w->in_c, *weights = scratch;
    struct band band = {
        .window = w,
        .x = x,
        .words = weights + taps,
        .zero = p->quant.in_zero,
        .width = (w->out_w - 1) * w->stride_w + w->k_w,
    };
    band.end = band.words + w->k_h * band.width;
    memset(band.words, 0, (uint32_t)(w->k_h * band.width) * 4u);
    for (int32_t c = 0, left = times; c < w->out_c; c++) {
        for (int32_t tap = 0; tap < taps; tap++)
            weights[tap] = weight(p->weights, (uint32_t)(tap * pitch + c));
        int32_t iy = -w->pad_top, last = w->k_h - w->pad_top; /* the next row that the band doesn't have, and where it ends */
        int32_t *top = band.words, *next = top;
        for (int32_t oy = 0; oy < w->out_h; oy++, last += w->stride_h) {
            for (; iy < last; iy++, next = next_row(&band, next))
                load_row(&band, next, iy);
            struct line line = {&band, top, weights, p->channels + c, &p->quant, y + oy * w->out_w * w->out_c + c};
            write_line(&line);
            for (int32_t step = w->stride_h; step; step--)
                top = next_row(&band, top);
        }
        if (--left == 0) { /* each input channel has `times` outputs */
            left = times;
            band.x++;
        }
    }
}

void hil_depthwise_s8(const struct hil_depthwise_s8 *p, const int8_t *x, int8_t *y, void *scratch)
{
    depthwise(p, x, y, scratch, p->window.out_c, weight_s8);
}

void hil_depthwise_3x3_s8(const struct hil_depthwise_s8 *p, const int8_t *x, int8_t *y, void *scratch)
{
    hil_depthwise_s8(p, x, y, scratch);
}

void hil_depthwise_any_s8(const struct hil_depthwise_s8 *p, const int8_t *x, int8_t *y, void *scratch)
{
    depthwise(p, x, y, scratch, (p->window.out_c + 3) / 4 * 4, weight_s8);
}

void hil_depthwise_s4(const struct hil_depthwise_s8 *p, const int8_t *x, int8_t *y, void *scratch)
{
    depthwise(p, x, y, scratch, (p->window.out_c + 3) / 4 * 4, weight_s4);
}

#endif
