/* Convolution of int16 by int8 weights, any kernel, stride and padding; a matrix by vectors is one of 1 x 1 pixels.
 *
 * A column holds the inputs that the kernel sees at one output pixel, as they are. Weights of two output channels alternate,
 * four at a time as bytes (w0, w2, w1, w3), of which SXTB16 makes (w0, w1) and (w2, w3). Sums fit 32 bits: the compiler has
 * checked the weights. */
#ifdef __ARM_ARCH_6M__

#include "matmul_s16_m0.h"

#else

#include "requantize_s16.h"

struct sums { /* of the even and the odd channel, for the first and the second column */
    int32_t even0, odd0, even1, odd1;
};

ALWAYS_INLINE void add_quad(struct sums *s, const uint32_t *x0, const uint32_t *x1, const uint32_t *weights, int two,
                            const int quad)
{
    uint32_t even, odd, a, b;
    LOAD_TWO(even, odd, weights, 2 * quad);
    uint32_t even01 = sxtb16(even), even23 = sxtb16_ror8(even), odd01 = sxtb16(odd), odd23 = sxtb16_ror8(odd);
    LOAD_TWO(a, b, x0, 2 * quad);
    s->even0 = smlad(even23, b, smlad(even01, a, s->even0));
    s->odd0 = smlad(odd23, b, smlad(odd01, a, s->odd0));
    if (two) {
        LOAD_TWO(a, b, x1, 2 * quad);
        s->even1 = smlad(even23, b, smlad(even01, a, s->even1));
        s->odd1 = smlad(odd23, b, smlad(odd01, a, s->odd1));
    }
}

#endif

/* All output channels of one pixel, or of two. */
ALWAYS_INLINE void multiply(const struct hil_conv_s16 *p, const uint32_t *x0, const uint32_t *x1, int16_t *y, int two)
{
    uint32_t quads = ((uint32_t)p->window.k_h * p->window.k_w * p->window.in_c + 3u) / 4u;
    const uint32_t *weights = (const uint32_t *)(const void *)p->weights;
    const struct hil_channel *channel = p->channels;
    uint32_t out_c = p->window.out_c;
    for (uint32_t c = 0; c < out_c; c += 2, channel += 2) {
        struct sums s = {0, 0, 0, 0};
#ifdef __ARM_ARCH_6M__
        add_quads(&s, x0, x1, weights, weights + 2 * quads);
        weights += 2 * quads;
#else
        const uint32_t *a = x0, *b = x1, *end = weights + 2 * quads;
        if (quads & 1u) {
            add_quad(&s, a, b, weights, two, 0);
            weights += 2;
            a += 2;
            b += 2;
        }
        for (; weights != end; weights += 4, a += 4, b += 4) {
            add_quad(&s, a, b, weights, two, 0);
            add_quad(&s, a, b, weights, two, 1);
        }
#endif
        y[c] = requantize_fast_s16(s.even0, channel, p);
        if (two)
            y[out_c + c] = requantize_fast_s16(s.even1, channel, p);
        if (c + 1 == out_c)
            break;
        y[c + 1] = requantize_fast_s16(s.odd0, channel + 1, p);
        if (two)
            y[out_c + c + 1] = requantize_fast_s16(s.odd1, channel + 1, p);
    }
}

static void one_pixel(const struct hil_conv_s16 *p, const uint32_t *x, int16_t *y)
{
    multiply(p, x, x, y, 0);
}

static void two_pixels(const struct hil_conv_s16 *p, const uint32_t *x0, const uint32_t *x1, int16_t *y)
{
    multiply(p, x0, x1, y, 1);
}

static int16_t *copy(int16_t *to, const int16_t *from, int32_t count)
{
#ifndef __ARM_ARCH_6M__ /* where a word may not lie anywhere */
    for (; count >= 2; count -= 2, to += 2, from += 2)
        store4(to, load4(from));
#endif
    for (; count > 0; count--)
        *to++ = *from++;
    return to;
}

/* The kernel's corner is at pixel (iy, ix). What is outside of the image is 0. */
static void fill(const struct hil_window *w, const int16_t *x, int16_t *column, int32_t iy, int32_t ix)
{
    int32_t in_c = w->in_c, run = w->k_w * in_c, right = (w->in_w - ix) * in_c;
    int32_t skip = ix < 0 ? -ix * in_c : 0, stop = right < run ? right : run;
    int inside = skip == 0 && stop == run;
    for (int32_t ky = 0; ky < w->k_h; ky++, iy++) {
        const int16_t *row = x + (iy * w->in_w + ix) * in_c;
        int there = iy >= 0 && iy < w->in_h && stop > skip;
        if (!(there && inside))
            memset(column, 0, (uint32_t)run * sizeof *column);
        if (there)
            copy(column + skip, row + skip, stop - skip);
        column += run;
    }
}

void hil_conv_s16(const struct hil_conv_s16 *p, const int16_t *x, int16_t *y, void *scratch)
{
    const struct hil_window *w = &p->window;
    uint32_t depth = (uint32_t)w->k_h * w->k_w * w->in_c;
    int16_t *columns[2] = {scratch, (int16_t *)scratch + (depth + 3u) / 4u * 4u};
    int waiting = 0;
    for (int32_t oy = 0; oy < w->out_h; oy++) {
        for (int32_t ox = 0; ox < w->out_w; ox++) {
            fill(w, x, columns[waiting], oy * w->stride_h - w->pad_top, ox * w->stride_w - w->pad_left);
            waiting ^= 1;
            if (!waiting) {
                two_pixels(p, (const uint32_t *)(void *)columns[0], (const uint32_t *)(void *)columns[1], y);
                y += 2 * w->out_c;
            }
        }
    }
    if (waiting)
        one_pixel(p, (const uint32_t *)(void *)columns[0], y);
}

/* Of a multiple of four channels, with stride 1: a pixel is a column. */
void hil_conv1x1_s16(const struct hil_conv_s16 *p, const int16_t *x, int16_t *y, void *scratch)
{
    const uint32_t *column = (const uint32_t *)(const void *)x;
    uint32_t words = p->window.in_c / 2u, pixels = (uint32_t)p->window.out_h * p->window.out_w;
    (void)scratch;
    for (; pixels >= 2; pixels -= 2, column += 2 * words, y += 2 * p->window.out_c)
        two_pixels(p, column, column + words, y);
    if (pixels)
        one_pixel(p, column, y);
}

void hil_conv_s16_plain(const struct hil_conv_s16 *p, const int16_t *x, int16_t *y, void *scratch)
{
    const struct hil_window *w = &p->window;
    (void)scratch;
    for (int32_t oy = 0; oy < w->out_h; oy++) {
        for (int32_t ox = 0; ox < w->out_w; ox++) {
            int32_t top = oy * w->stride_h - w->pad_top, left = ox * w->stride_w - w->pad_left;
            const int8_t *weights = p->weights;
            for (int32_t c = 0; c < w->out_c; c++) {
                int64_t sum = 0;
                for (int32_t ky = 0; ky < w->k_h; ky++) {
                    for (int32_t kx = 0; kx < w->k_w; kx++, weights += w->in_c) {
                        int32_t iy = top + ky, ix = left + kx;
                        if (iy < 0 || iy >= w->in_h || ix < 0 || ix >= w->in_w)
                            continue;
                        const int16_t *input = x + (iy * w->in_w + ix) * w->in_c;
                        for (int32_t i = 0; i < w->in_c; i++)
                            sum += input[i] * weights[i];
                    }
                }
                *y++ = requantize_s16(sum, &p->channels[c], p);
            }
        }
    }
}
