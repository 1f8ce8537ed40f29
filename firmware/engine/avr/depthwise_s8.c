/* int8 depthwise convolution. An input channel gives out_c / in_c output channels. */
#include "products_s8.h"

/* Channel by channel. The rows that the kernel sees are copied before an output row is written, so `y` may be `x` where
 * a channel has one output. */
void hil_depthwise_s8_plain(const HIL_FLASH struct hil_depthwise_s8 *p, const int8_t *x, int8_t *y, void *scratch)
{
    const HIL_FLASH struct hil_window *w = &p->window;
    const uint16_t in_c = w->in_c, out_c = w->out_c, in_w = w->in_w, out_w = w->out_w, multiplier = out_c / in_c;
    const uint16_t k_h = w->k_h, k_w = w->k_w;
    const int16_t zero = p->quant.in_zero;
    int8_t *const kept = scratch; /* a ring of k_h rows */
    for (uint16_t c = 0; c < in_c; c++) {
        uint16_t copied = 0, next = 0; /* rows, and where the next of them goes */
        for (int16_t oy = 0; oy < (int16_t)w->out_h; oy++) {
            const int16_t top = oy * (int16_t)w->stride_h - (int16_t)w->pad_top;
            const struct span rows = span_of(top, w->k_h, w->in_h);
            for (; (int16_t)copied < top + rows.end; copied++, next = next + 1 == k_h ? 0 : next + 1) {
                int8_t *to = kept + next * in_w;
                const int8_t *from = x + copied * in_w * in_c + c;
                for (uint16_t ix = in_w; ix != 0; ix--, from += in_c)
                    *to++ = *from;
            }
            const int16_t back = (int16_t)next - (rows.end - rows.first);
            const uint16_t first = (uint16_t)(back < 0 ? back + (int16_t)k_h : back); /* where the first row is that the kernel sees */
            for (uint16_t ox = 0; ox < out_w; ox++) {
                const int16_t left = (int16_t)(ox * w->stride_w) - (int16_t)w->pad_left;
                const struct span columns = span_of(left, w->k_w, in_w);
                for (uint16_t o = c * multiplier; o < (c + 1) * multiplier; o++) {
                    const HIL_FLASH struct hil_channel *channel = p->channels + o;
                    int32_t sum = channel->bias;
                    uint16_t row = first;
                    for (int16_t ky = rows.first; ky < rows.end; ky++, row = row + 1 == k_h ? 0 : row + 1) {
                        const int8_t *input = kept + row * in_w + left + columns.first;
                        const HIL_FLASH int8_t *weights = p->weights + (ky * k_w + columns.first) * out_c + o;
                        for (int16_t n = columns.end - columns.first; n > 0; n--, weights += out_c)
                            sum += (int16_t)((*input++ - zero) * *weights);
                    }
                    y[((uint16_t)oy * out_w + ox) * out_c + o] = requantize(sum, channel, &p->quant);
                }
            }
        }
    }
}
