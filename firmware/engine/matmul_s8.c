/* Two columns of inputs by every row of the weight matrix: two pixels with all their output channels. */
#include "matmul_s8.h"

ALWAYS_INLINE int8_t output(int32_t sum, const struct hil_channel *channel, const struct hil_quant *quant, int fast)
{
    return fast ? requantize_fast(sum, channel) : requantize(sum, channel, quant);
}

ALWAYS_INLINE void rows(const struct hil_conv_s8 *p, const uint32_t *columns, uint32_t quads, int8_t *y0, int8_t *y1,
                        int fast)
{
    const struct hil_channel *next = p->channels;
    const uint32_t *weights = (const uint32_t *)(const void *)p->weights;
    const int8_t *last = y0 + p->window.out_c - 1;
    for (;;) {
        struct hil_channel channel = *next++;
        struct sums s = {0, 0, 0, 0};
        const uint32_t *x = columns, *end = weights + 2 * quads;
        if (quads & 1u) {
            matmul_quad(&s, x, weights, 0);
            x += 4;
            weights += 2;
        }
        while (weights != end) {
            matmul_quad(&s, x, weights, 0);
            matmul_quad(&s, x, weights, 1);
            x += 8;
            weights += 4;
        }
        *y1++ = output(s.even1 + channel.bias, &channel, &p->quant, fast);
        *y0++ = output(s.even0 + channel.bias, &channel, &p->quant, fast);
        if (y0 > last)
            break; /* the last row of an odd number of channels has an even one only */
        channel = *next++;
        int32_t odd0 = (int32_t)((uint32_t)s.mixed0 - (uint32_t)s.even0) >> 8;
        int32_t odd1 = (int32_t)((uint32_t)s.mixed1 - (uint32_t)s.even1) >> 8;
        *y1++ = output(odd1 + channel.bias, &channel, &p->quant, fast);
        *y0++ = output(odd0 + channel.bias, &channel, &p->quant, fast);
        if (y0 > last)
            break;
    }
}

void hil_matmul_pixels(const struct hil_conv_s8 *p, const uint32_t *columns, uint32_t quads, int8_t *y, uint32_t pixels)
{
    int8_t *y1 = pixels == 2 ? y + p->window.out_c : y; /* a lone pixel is written over the other's garbage */
    if (p->quant.fast)
        rows(p, columns, quads, y, y1, 1);
    else
        rows(p, columns, quads, y, y1, 0);
}
