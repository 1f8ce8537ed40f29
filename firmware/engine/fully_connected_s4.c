/* int8 matrix by vector, with weights of 4 bits. */
#include "weights_s4.h"

void hil_fully_connected_s4(const struct hil_fully_connected_s8 *p, const int8_t *x, int8_t *y)
{
    uint32_t quads = (p->depth + 3u) / 4u;
    for (uint32_t row = 0; row < p->rows; row++, x += p->depth) {
        const uint32_t *weights = (const uint32_t *)(const void *)p->weights;
        const struct hil_channel *channel = p->channels;
        for (uint32_t c = 0; c < p->outputs; c += 2, channel += 2) {
            int32_t even = 0, odd = 0;
            const int8_t *input = x;
            for (const uint32_t *end = weights + quads; weights != end; input += 4) {
                uint32_t word = *weights++, bytes = load4(input);
                uint32_t x02 = sxtb16(bytes), x13 = sxtb16_ror8(bytes);
                uint32_t e = even_weights(word), o = odd_weights(word);
                even = smlad(sxtb16_ror8(e), x13, smlad(sxtb16(e), x02, even));
                odd = smlad(sxtb16_ror8(o), x13, smlad(sxtb16(o), x02, odd));
            }
            *y++ = output_s4(even, channel, &p->quant);
            if (c + 1 < p->outputs)
                *y++ = output_s4(odd, channel + 1, &p->quant);
        }
    }
}

void hil_fully_connected_s4_plain(const struct hil_fully_connected_s8 *p, const int8_t *x, int8_t *y)
{
    for (uint32_t row = 0; row < p->rows; row++, x += p->depth) {
        uint32_t weight = 0;
        for (uint32_t c = 0; c < p->outputs; c++) {
            int32_t sum = p->channels[c].bias;
            for (uint32_t i = 0; i < p->depth; i++)
                sum += (x[i] - p->quant.in_zero) * weight_s4(p->weights, weight++);
            *y++ = requantize(sum, &p->channels[c], &p->quant);
        }
    }
}
