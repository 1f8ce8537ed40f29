/* Four columns of inputs by every row of the weight matrix: four pixels with all their output channels. */
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

void hil_matmul_four_s8(const struct hil_conv_s8 *p, const uint32_t *columns, uint32_t quads, int8_t *y)
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
