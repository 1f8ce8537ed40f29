/* int8 matrix by vector. */
#include "products_s8.h"

void hil_fully_connected_s8_plain(const HIL_FLASH struct hil_fully_connected_s8 *p, const int8_t *x, int8_t *y)
{
    const uint16_t depth = (uint16_t)p->depth;
    for (uint16_t row = (uint16_t)p->rows; row != 0; row--, x += depth) {
        const HIL_FLASH int8_t *weights = p->weights;
        const HIL_FLASH struct hil_channel *channel = p->channels;
        for (uint16_t left = (uint16_t)p->outputs; left != 0; left--, channel++, weights += depth) {
            const int32_t sum = add_products(channel->bias, x, weights, depth, p->quant.in_zero);
            *y++ = requantize(sum, channel, &p->quant);
        }
    }
}
