/* Columns of inputs by every row of the weight matrix: four pixels, or one or two, with all their output channels. */
#include "matmul_s8.h"
#include "four_columns.h"

/* 256 x O. */
ALWAYS_INLINE int32_t odd_sum(int32_t mixed, int32_t even)
{
    return (int32_t)((uint32_t)mixed - (uint32_t)even);
}

/* Four sums of one channel where it doesn't take the fast form. */
static __attribute__((noinline)) void store_any(const struct hil_conv_s8 *p, const struct hil_channel *channel,
                                                const int32_t *sums, int8_t *y)
{
    for (int i = 0; i < 4; i++, y += p->window.out_c)
        *y = requantize(sums[i] + channel->bias, channel, &p->quant);
}

static void four_pixels(const struct hil_conv_s8 *p, const uint32_t *columns, uint32_t quads, int8_t *y)
{
    const struct hil_channel *channel = p->channels;
    const uint32_t *weights = (const uint32_t *)(const void *)p->weights;
    const uint32_t out_c = p->window.out_c;
    const int8_t *end = y + out_c;
    do {
        struct row_sums s = four_columns(columns, weights, weights + 2 * quads, quads);
        int32_t odd0 = odd_sum(s.mixed0, s.even0), odd1 = odd_sum(s.mixed1, s.even1);
        int32_t odd2 = odd_sum(s.mixed2, s.even2), odd3 = odd_sum(s.mixed3, s.even3);
        weights += 2 * quads;
        if (p->quant.fast) {
            store_even(channel, s.even0, s.even1, s.even2, s.even3, y, out_c);
            if (y + 1 != end) /* the last row of an odd number of channels has an even one only */
                store_odd(channel + 1, odd0, odd1, odd2, odd3, y + 1, out_c);
        } else {
            const int32_t even[4] = {s.even0, s.even1, s.even2, s.even3};
            const int32_t odd[4] = {odd0 >> 8, odd1 >> 8, odd2 >> 8, odd3 >> 8};
            store_any(p, channel, even, y);
            if (y + 1 != end)
                store_any(p, channel + 1, odd, y + 1);
        }
        channel += 2;
        y += 2;
    } while (y < end);
}

struct sums { /* of a row, for the first and the second column: E and 256 x O + E */
    int32_t even0, mixed0, even1, mixed1;
};

/* Two inputs of each of two columns. */
ALWAYS_INLINE void add_pair(struct sums *s, const uint32_t *columns, uint32_t w, const int at)
{
    uint32_t x0, x1, e = sxtb16(w);
    LOAD_TWO(x0, x1, columns, at);
    s->mixed0 = smlad(w, x0, s->mixed0);
    s->mixed1 = smlad(w, x1, s->mixed1);
    s->even0 = smlad(e, x0, s->even0);
    s->even1 = smlad(e, x1, s->even1);
}

static int8_t output(const struct hil_conv_s8 *p, const struct hil_channel *channel, int32_t sum)
{
    sum += channel->bias;
    return p->quant.fast ? requantize_fast(sum, channel) : requantize(sum, channel, &p->quant);
}

/* The last pixels of an image. A lone one is written over the garbage of the other. */
static void two_pixels(const struct hil_conv_s8 *p, const uint32_t *columns, uint32_t quads, int8_t *y0, int8_t *y1)
{
    const struct hil_channel *channel = p->channels;
    const uint32_t *weights = (const uint32_t *)(const void *)p->weights;
    const int8_t *end = y0 + p->window.out_c;
    while (y0 != end) {
        struct sums s = {0, 0, 0, 0};
        const uint32_t *x = columns;
        for (uint32_t left = quads; left; left--, x += 4, weights += 2) {
            uint32_t w0, w1;
            LOAD_TWO(w0, w1, weights, 0);
            add_pair(&s, x, w0, 0);
            add_pair(&s, x, w1, 2);
        }
        *y1++ = output(p, channel, s.even1);
        *y0++ = output(p, channel++, s.even0);
        if (y0 == end)
            break;
        *y1++ = output(p, channel, odd_sum(s.mixed1, s.even1) >> 8);
        *y0++ = output(p, channel++, odd_sum(s.mixed0, s.even0) >> 8);
    }
}

void hil_matmul_pixels(const struct hil_conv_s8 *p, const uint32_t *columns, uint32_t quads, int8_t *y, uint32_t pixels)
{
    if (pixels == MATMUL_COLUMNS)
        four_pixels(p, columns, quads, y);
    else
        two_pixels(p, columns, quads, y, pixels == 2 ? y + p->window.out_c : y);
}
