/* int8 convolution by a 1 x 1 kernel with stride 1. */
#include "products_s8.h"

/* A pixel is copied before its outputs are written, so that `y` may overwrite what is done with of `x`. */
void hil_conv1x1_s8_plain(const HIL_FLASH struct hil_conv_s8 *p, const int8_t *x, int8_t *y, void *scratch)
{
    const uint16_t in_c = p->window.in_c;
    for (uint16_t left = p->window.out_h * p->window.out_w; left != 0; left--, x += in_c) {
        const HIL_FLASH int8_t *weights = p->weights;
        const HIL_FLASH struct hil_channel *channel = p->channels;
        memcpy(scratch, x, in_c);
        for (uint16_t c = p->window.out_c; c != 0; c--, channel++, weights += in_c) {
            const int32_t sum = add_products(channel->bias, scratch, weights, in_c, p->quant.in_zero);
            *y++ = requantize(sum, channel, &p->quant);
        }
    }
}
