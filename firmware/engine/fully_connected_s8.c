/* int8 matrix by vector. */
#include "matmul_s8.h"

/* Four outputs at a time (two rows of weights, see matmul_s8.h) share the spreading of the inputs, so that no
 * copy of the spread inputs is needed. Here the two columns of `struct sums` are the two rows. */
ALWAYS_INLINE void add_quad(struct sums *s, const int8_t *x, const uint32_t *row0, const uint32_t *row1,
                            const int quad)
{
    uint32_t bytes = load4(x + 4 * quad);
    uint32_t x02 = sxtb16(bytes), x13 = sxtb16_ror8(bytes);
    uint32_t w0, w1;
    LOAD_TWO(w0, w1, row0, 2 * quad);
    s->mixed0 = smlad(w0, x02, s->mixed0);
    s->even0 = smlad(sxtb16(w0), x02, s->even0);
    s->mixed0 = smlad(w1, x13, s->mixed0);
    s->even0 = smlad(sxtb16(w1), x13, s->even0);
    LOAD_TWO(w0, w1, row1, 2 * quad);
    s->mixed1 = smlad(w0, x02, s->mixed1);
    s->even1 = smlad(sxtb16(w0), x02, s->even1);
    s->mixed1 = smlad(w1, x13, s->mixed1);
    s->even1 = smlad(sxtb16(w1), x13, s->even1);
}

void hil_fully_connected_s8(const struct hil_fully_connected_s8 *p, const int8_t *x, int8_t *y)
{
    uint32_t quads = (p->depth + 3u) / 4u;
    for (uint32_t row = 0; row < p->rows; row++, x += p->depth) {
        const uint32_t *weights = (const uint32_t *)(const void *)p->weights;
        const struct hil_channel *channel = p->channels;
        for (uint32_t left = p->outputs; left;) {
            const uint32_t *second = left > 2 ? weights + 2 * quads : weights; /* there may be only one row */
            struct sums s = {0, 0, 0, 0};
            const int8_t *input = x;
            uint32_t n = quads;
            if (n & 1u) {
                add_quad(&s, input, weights, second, 0);
                input += 4;
                weights += 2;
                second += 2;
            }
            for (n /= 2; n; n--) {
                add_quad(&s, input, weights, second, 0);
                add_quad(&s, input, weights, second, 1);
                input += 8;
                weights += 4;
                second += 4;
            }
            weights = second;
            int32_t sum[4] = {
                s.even0,
                (int32_t)((uint32_t)s.mixed0 - (uint32_t)s.even0) >> 8,
                s.even1,
                (int32_t)((uint32_t)s.mixed1 - (uint32_t)s.even1) >> 8,
            };
            for (uint32_t i = 0; i < 4 && left; i++, left--, channel++) {
                int32_t total = sum[i] + channel->bias;
                *y++ = p->quant.fast ? requantize_fast(total, channel) : requantize(total, channel, &p->quant);
            }
        }
    }
}

void hil_fully_connected_s8_plain(const struct hil_fully_connected_s8 *p, const int8_t *x, int8_t *y)
{
    for (uint32_t row = 0; row < p->rows; row++, x += p->depth) {
        const int8_t *weights = p->weights;
        for (uint32_t c = 0; c < p->outputs; c++) {
            int32_t sum = p->channels[c].bias;
            for (uint32_t i = 0; i < p->depth; i++)
                sum += (x[i] - p->quant.in_zero) * *weights++;
            *y++ = requantize(sum, &p->channels[c], &p->quant);
        }
    }
}
