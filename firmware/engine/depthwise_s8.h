/* What the fast int8 depthwise kernels share: the band of padded rows, and four channels' sums. */
#ifndef HIL_DEPTHWISE_S8_H
#define HIL_DEPTHWISE_S8_H

#include "requantize.h"

/* Four channels at a time, through a band of as many padded image rows as the kernel has, spread to 16 bits: a word
 * (x0, x2) and a word (x1, x3) per pixel, less the zero point, so that padding is zero and no border needs a
 * case of its own. The band is a ring: each output row brings in only the rows that are new. */
struct band {
    const struct hil_window *window;
    const int8_t *x; /* first of the four channels */
    uint32_t *words;
    uint32_t minus_zero; /* twice, in 16 bits */
    int32_t width;       /* padded, in pixels */
};

static uint32_t *band_row(const struct band *band, int32_t iy)
{
    /* iy + pad_top >= 0 */
    int32_t slot = (iy + band->window->pad_top) % band->window->k_h;
    return band->words + 2 * slot * band->width;
}

struct sums { /* of four channels */
    int32_t c0, c1, c2, c3;
};

/* One position of the kernel, `xi` and `wi` words further on. Weights are spread like the inputs. */
ALWAYS_INLINE void add_tap(struct sums *s, const uint32_t *x, const int xi, const uint32_t *weights, const int wi)
{
    uint32_t x02, x13, w02, w13;
    LOAD_TWO(x02, x13, x, xi);
    LOAD_TWO(w02, w13, weights, wi);
    s->c0 = smlabb(x02, w02, s->c0);
    s->c1 = smlabb(x13, w13, s->c1);
    s->c2 = smlatt(x02, w02, s->c2);
    s->c3 = smlatt(x13, w13, s->c3);
}

ALWAYS_INLINE int8_t output(int32_t sum, const struct hil_channel *next, const struct hil_quant *quant, int fast)
{
    struct hil_channel channel = *next;
    sum += channel.bias;
    return fast ? requantize_fast(sum, &channel) : requantize(sum, &channel, quant);
}

#endif
