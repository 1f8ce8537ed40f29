/* int8 depthwise convolution. An input channel gives out_c / in_c output channels; the fast kernel here takes one, and
 * a number of channels that is a multiple of four. depthwise_any_s8.c takes the others, depthwise_3x3_s8.c most kernels
 * of 3 x 3. */
#include "requantize.h"

#ifndef __ARM_ARCH_6M__ /* depthwise_m0.c */
#include "depthwise_s8.h"

/* The padding on the left and on the right is zero from the start and is never written. */
static void band_load(const struct band *band, int32_t iy)
{
    const struct hil_window *w = band->window;
    uint32_t *row = band_row(band, iy);
    if (iy < 0 || iy >= w->in_h) {
        memset(row, 0, (uint32_t)band->width * 8u);
        return;
    }
    const int8_t *x = band->x + iy * w->in_w * w->in_c;
    uint32_t zero = band->minus_zero, in_c = w->in_c;
    int32_t pixels = band->width - w->pad_left; /* with the padding on the right */
    row += 2 * w->pad_left;
    for (int32_t n = pixels < w->in_w ? pixels : w->in_w; n > 0; n--) {
        uint32_t bytes = load4(x);
        row[0] = sxtab16(zero, bytes);
        row[1] = sxtab16_ror8(zero, bytes);
        row += 2;
        x += in_c;
    }
}

ALWAYS_INLINE void store_four(const struct hil_depthwise_s8 *p, const struct hil_channel *channel,
                              const struct sums *s, int8_t *y, int fast)
{
    y[0] = output(s->c0, channel, &p->quant, fast);
    y[1] = output(s->c1, channel + 1, &p->quant, fast);
    y[2] = output(s->c2, channel + 2, &p->quant, fast);
    y[3] = output(s->c3, channel + 3, &p->quant, fast);
}

static void write_row(const struct hil_depthwise_s8 *p, const struct hil_channel *channel, const struct band *band,
                     int32_t top, const uint32_t *weights, int8_t *y)
{
    const struct hil_window *w = &p->window;
    for (int32_t ox = 0; ox < w->out_w; ox++) {
        struct sums s = {0, 0, 0, 0};
        const uint32_t *taps = weights;
        for (int32_t ky = 0; ky < w->k_h; ky++) {
            const uint32_t *x = band_row(band, top + ky) + 2 * ox * w->stride_w;
            for (int32_t kx = 0; kx < w->k_w; kx++, x += 2, taps += 2)
                add_tap(&s, x, 0, taps, 0);
        }
        store_four(p, channel, &s, y, p->quant.fast);
        y += w->out_c;
    }
}

/* An input row is in the band before an output row is written over it, so `y` may be `x`. */
void hil_depthwise_s8(const struct hil_depthwise_s8 *p, const int8_t *x, int8_t *y, void *scratch)
{
    const struct hil_window *w = &p->window;
    int32_t taps = w->k_h * w->k_w;
    uint32_t *weights = scratch;
    int32_t minus_zero = -p->quant.in_zero;
    struct band band = {
        .window = w,
        .words = weights + 2 * taps,
        .minus_zero = ((uint32_t)minus_zero & 0xffffu) | ((uint32_t)minus_zero << 16),
        .width = (w->out_w - 1) * w->stride_w + w->k_w,
    };
    memset(band.words, 0, (uint32_t)(w->k_h * band.width) * 8u);
    for (int32_t c = 0; c < w->in_c; c += 4) {
        const struct hil_channel *channel = p->channels + c;
        for (int32_t tap = 0; tap < taps; tap++) {
            uint32_t bytes = load4(p->weights + tap * w->in_c + c);
            weights[2 * tap] = sxtb16(bytes);
            weights[2 * tap + 1] = sxtb16_ror8(bytes);
        }
        band.x = x + c;
        int32_t loaded = -w->pad_top; /* the next row that the band doesn't have */
        for (int32_t oy = 0; oy < w->out_h; oy++) {
            int32_t top = oy * w->stride_h - w->pad_top;
            if (loaded < top)
                loaded = top;
            for (; loaded < top + w->k_h; loaded++)
                band_load(&band, loaded);
            write_row(p, channel, &band, top, weights, y + oy * w->out_w * w->out_c + c);
        }
    }
}
#endif

/* Channel by channel. The rows that the kernel sees are copied before an output row is written, so `y` may be `x` where
 * a channel has one output. */
void hil_depthwise_s8_plain(const struct hil_depthwise_s8 *p, const int8_t *x, int8_t *y, void *scratch)
{
    const struct hil_window *w = &p->window;
    int32_t multiplier = w->out_c / w->in_c;
    int8_t *rows = scratch; /* row iy at iy % k_h */
    for (int32_t c = 0; c < w->in_c; c++) {
        int32_t copied = 0;
        for (int32_t oy = 0; oy < w->out_h; oy++) {
            int32_t top = oy * w->stride_h - w->pad_top;
            for (; copied < top + w->k_h && copied < w->in_h; copied++) {
                for (int32_t ix = 0; ix < w->in_w; ix++)
                    rows[copied % w->k_h * w->in_w + ix] = x[(copied * w->in_w + ix) * w->in_c + c];
            }
            for (int32_t ox = 0; ox < w->out_w; ox++) {
                int32_t left = ox * w->stride_w - w->pad_left;
                for (int32_t o = c * multiplier; o < (c + 1) * multiplier; o++) {
                    int32_t sum = p->channels[o].bias;
                    for (int32_t ky = 0; ky < w->k_h; ky++) {
                        for (int32_t kx = 0; kx < w->k_w; kx++) {
                            int32_t iy = top + ky, ix = left + kx;
                            if (iy < 0 || iy >= w->in_h || ix < 0 || ix >= w->in_w)
                                continue;
                            int32_t input = rows[iy % w->k_h * w->in_w + ix] - p->quant.in_zero;
                            sum += input * p->weights[(ky * w->k_w + kx) * w->out_c + o];
                        }
                    }
                    y[(oy * w->out_w + ox) * w->out_c + o] = requantize(sum, &p->channels[o], &p->quant);
                }
            }
        }
    }
}
