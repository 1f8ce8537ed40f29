/* int8 average of the inputs in a window, rounded to the nearest; padding doesn't count. */
#include "requantize.h"

void hil_average_pool_s8(const struct hil_pool_s8 *p, const int8_t *x, int8_t *y)
{
    const struct hil_window *w = &p->window;
    for (int32_t oy = 0; oy < w->out_h; oy++) {
        int32_t top = oy * w->stride_h - w->pad_top;
        int32_t y0 = top < 0 ? 0 : top, y1 = top + w->k_h < w->in_h ? top + w->k_h : w->in_h;
        for (int32_t ox = 0; ox < w->out_w; ox++) {
            int32_t left = ox * w->stride_w - w->pad_left;
            int32_t x0 = left < 0 ? 0 : left, x1 = left + w->k_w < w->in_w ? left + w->k_w : w->in_w;
            int32_t count = (y1 - y0) * (x1 - x0);
            for (int32_t c = 0; c < w->in_c; c++) {
                int32_t sum = 0;
                for (int32_t iy = y0; iy < y1; iy++) {
                    const int8_t *input = x + (iy * w->in_w + x0) * w->in_c + c;
                    for (int32_t n = x1 - x0; n > 0; n--, input += w->in_c)
                        sum += *input;
                }
                sum = (sum > 0 ? sum + count / 2 : sum - count / 2) / count;
                *y++ = (int8_t)clamp(sum, p->act_min, p->act_max);
            }
        }
    }
}
