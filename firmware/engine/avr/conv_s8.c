/* int8 convolution, any kernel, stride and padding: a row of the kernel is one piece of the input. */
#include "products_s8.h"

void hil_conv_s8_plain(const HIL_FLASH struct hil_conv_s8 *p, const int8_t *x, int8_t *y, void *scratch)
{
    const HIL_FLASH struct hil_window *w = &p->window;
    const int16_t in_c = (int16_t)w->in_c, in_w = (int16_t)w->in_w, k_w = (int16_t)w->k_w;
    const int16_t filter = (int16_t)w->k_h * k_w * in_c;
    (void)scratch;
    for (int16_t oy = 0; oy < (int16_t)w->out_h; oy++) {
        const int16_t top = oy * (int16_t)w->stride_h - (int16_t)w->pad_top;
        const struct span rows = span_of(top, w->k_h, w->in_h);
        for (int16_t ox = 0; ox < (int16_t)w->out_w; ox++) {
            const int16_t left = ox * (int16_t)w->stride_w - (int16_t)w->pad_left;
            const struct span columns = span_of(left, w->k_w, w->in_w);
            const uint16_t run = columns.end > columns.first ? (uint16_t)((columns.end - columns.first) * in_c) : 0;
            const HIL_FLASH int8_t *weights = p->weights + columns.first * in_c;
            const HIL_FLASH struct hil_channel *channel = p->channels;
            for (uint16_t c = w->out_c; c != 0; c--, channel++, weights += filter) {
                int32_t sum = channel->bias;
                for (int16_t ky = rows.first; ky < rows.end; ky++)
                    sum = add_products(sum, x + ((top + ky) * in_w + left + columns.first) * in_c,
                                       weights + ky * k_w * in_c, run, p->quant.in_zero);
                *y++ = requantize(sum, channel, &p->quant);
            }
        }
    }
}
