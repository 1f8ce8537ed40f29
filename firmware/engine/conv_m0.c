/* The int8 convolutions on Armv6-M, with weights of 8 and of 4 bits: conv_s8.c, conv1x1_s8.c and conv_s4.c with the products of
 * matmul_m0.h. */
#ifdef __ARM_ARCH_6M__

#include "matmul_m0.h"

/* The lower halves, in the order of the weights. */
static uint32_t *spread_first(uint32_t *column, const int8_t *x, uint32_t quads)
{
    for (; quads; quads--, x += 4, column += 4) {
        column[0] = (uint32_t)(int32_t)x[0];
        column[1] = (uint32_t)(int32_t)x[2];
        column[2] = (uint32_t)(int32_t)x[1];
        column[3] = (uint32_t)(int32_t)x[3];
    }
    return column;
}

/* The upper halves beside the lower ones. */
static uint32_t *spread_second(uint32_t *column, const int8_t *x, uint32_t quads)
{
    for (; quads; quads--, x += 4, column += 4) {
        column[0] += (uint32_t)(int32_t)x[0] << 16;
        column[1] += (uint32_t)(int32_t)x[2] << 16;
        column[2] += (uint32_t)(int32_t)x[1] << 16;
        column[3] += (uint32_t)(int32_t)x[3] << 16;
    }
    return column;
}

/* All output channels of two pixels, of which one may be garbage that `y1` = `y0` lets the other overwrite. */
typedef void multiplying(const struct hil_conv_s8 *p, const uint32_t *columns, uint32_t quads, int8_t *y0, int8_t *y1);

ALWAYS_INLINE void rows_of(const struct hil_conv_s8 *p, const uint32_t *columns, uint32_t words, int8_t *y0, int8_t *y1,
                           const int bits)
{
    const struct hil_channel *channel = p->channels;
    const uint32_t *weights = (const uint32_t *)(const void *)p->weights;
    const struct pair_sums start = pair_start(words);
    for (const int8_t *end = y0 + p->window.out_c;;) {
        struct pair_sums s = start;
        weights = bits == 8 ? add_row_s8(&s, columns, weights, words) : add_row_s4(&s, columns, weights, words);
        uint32_t out = requantize_two((int32_t)(s.even - (s.even_upper << 16)), (int32_t)s.even_upper, channel++, &p->quant);
        *y1++ = (int8_t)(out >> 8);
        *y0++ = (int8_t)out;
        if (y0 == end)
            break; /* the last row of an odd number of channels has an even one only */
        out = requantize_two((int32_t)(s.odd - (s.odd_upper << 16)), (int32_t)s.odd_upper, channel++, &p->quant);
        *y1++ = (int8_t)(out >> 8);
        *y0++ = (int8_t)out;
        if (y0 == end)
            break;
    }
}

static void rows_s8(const struct hil_conv_s8 *p, const uint32_t *columns, uint32_t quads, int8_t *y0, int8_t *y1)
{
    rows_of(p, columns, 2 * quads, y0, y1, 8);
}

static void rows_s4(const struct hil_conv_s8 *p, const uint32_t *columns, uint32_t quads, int8_t *y0, int8_t *y1)
{
    rows_of(p, columns, quads, y0, y1, 4);
}

/* Both pixels are spread before either output is written, so that `y` may overwrite what is done with of `x`. */
static void conv1x1(const struct hil_conv_s8 *p, const int8_t *x, int8_t *y, void *scratch, multiplying *rows)
{
    uint32_t in_c = p->window.in_c, out_c = p->window.out_c, quads = (in_c + 3u) / 4u;
    for (uint32_t left = (uint32_t)p->window.out_h * p->window.out_w; left; left -= 2, x += 2 * in_c, y += 2 * out_c) {
        spread_first(scratch, x, quads);
        if (left == 1) {
            rows(p, scratch, quads, y, y);
            break;
        }
        spread_second(scratch, x + in_c, quads);
        rows(p, scratch, quads, y, y + out_c);
    }
}

typedef uint32_t *spreading(uint32_t *column, const int8_t *x, uint32_t quads);

/* One column of the im2col matrix: what the kernel, with its corner at pixel (iy, ix), sees, row by row. A row is padded to a
 * multiple of four inputs, whose weights are zero. What is outside of the image is the zero point: such rows are put
 * together in `row`. */
static void fill_border(const struct hil_conv_s8 *p, const int8_t *x, uint32_t *column, int8_t *row, uint32_t quads,
                        int32_t iy, int32_t ix, spreading *spread)
{
    const struct hil_window *w = &p->window;
    int32_t run = w->k_w * w->in_c, skip = ix < 0 ? -ix * w->in_c : 0, end = (w->in_w - ix) * w->in_c;
    int32_t stop = end < run ? end : run; /* from `skip` to here it is the image's */
    for (uint32_t left = w->k_h; left; left--, iy++) {
        memset(row, p->quant.in_zero, (uint32_t)run);
        if (iy >= 0 && iy < w->in_h && stop > skip)
            memcpy(row + skip, x + (iy * w->in_w + ix) * w->in_c + skip, (uint32_t)(stop - skip));
        column = spread(column, row, quads);
    }
}

ALWAYS_INLINE void fill(const struct hil_conv_s8 *p, const int8_t *x, uint32_t *column, uint32_t quads, int32_t iy, int32_t ix,
                        spreading *spread)
{
    const struct hil_window *w = &p->window;
    if (iy < 0 || iy + w->k_h > w->in_h || ix < 0 || ix + w->k_w > w->in_w) {
        fill_border(p, x, column, (int8_t *)(column + 4 * quads * w->k_h), quads, iy, ix, spread);
        return;
    }
    uint32_t stride = (uint32_t)w->in_w * w->in_c;
    x += (iy * w->in_w + ix) * w->in_c;
    for (uint32_t left = w->k_h; left; left--, x += stride)
        column = spread(column, x, quads);
}

static void conv(const struct hil_conv_s8 *p, const int8_t *x, int8_t *y, void *scratch, multiplying *rows)
{
    const struct hil_window *w = &p->window;
    uint32_t row_quads = (w->k_w * (uint32_t)w->in_c + 3u) / 4u, quads = w->k_h * row_quads;
    uint32_t *columns = scratch;
    int second = 0;
    for (int32_t oy = 0; oy < w->out_h; oy++) {
        int32_t iy = oy * w->stride_h - w->pad_top, ix = -w->pad_left;
        for (uint32_t left = w->out_w; left; left--, ix += w->stride_w) {
            if (second) {
                fill(p, x, columns, row_quads, iy, ix, spread_second);
                rows(p, columns, quads, y, y + w->out_c);
                y += 2 * w->out_c;
            } else {
                fill(p, x, columns, row_quads, iy, ix, spread_first);
            }
            second = !second;
        }
    }
    if (second)
        rows(p, columns, quads, y, y);
}

void hil_conv1x1_s8(const struct hil_conv_s8 *p, const int8_t *x, int8_t *y, void *scratch)
{
    conv1x1(p, x, y, scratch, rows_s8);
}

void hil_conv1x1_s4(const struct hil_conv_s8 *p, const int8_t *x, int8_t *y, void *scratch)
{
    conv1x1(p, x, y, scratch, rows_s4);
}

void hil_conv_s8(const struct hil_conv_s8 *p, const int8_t *x, int8_t *y, void *scratch)
{
    conv(p, x, y, scratch, rows_s8);
}

void hil_conv_s4(const struct hil_conv_s8 *p, const int8_t *x, int8_t *y, void *scratch)
{
    conv(p, x, y, scratch, rows_s4);
}

#endif
