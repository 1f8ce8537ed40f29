/* int8 maximum and average of the inputs in a window; padding doesn't count. */
#include "products_s8.h"

static void pool(const HIL_FLASH struct hil_pool_s8 *p, const int8_t *x, int8_t *y, uint8_t average)
{
    const HIL_FLASH struct hil_window *w = &p->window;
    const int16_t in_c = (int16_t)w->in_c, in_w = (int16_t)w->in_w, act_min = p->act_min, act_max = p->act_max;
    for (int16_t oy = 0; oy < (int16_t)w->out_h; oy++) {
        const int16_t top = oy * (int16_t)w->stride_h - (int16_t)w->pad_top;
        const struct span rows = span_of(top, w->k_h, w->in_h);
        for (int16_t ox = 0; ox < (int16_t)w->out_w; ox++) {
            const int16_t left = ox * (int16_t)w->stride_w - (int16_t)w->pad_left;
            const struct span columns = span_of(left, w->k_w, w->in_w);
            const int16_t count = (rows.end - rows.first) * (columns.end - columns.first);
            for (int16_t c = 0; c < in_c; c++) {
                int32_t sum = 0;
                int16_t value = -128;
                for (int16_t ky = rows.first; ky < rows.end; ky++) {
                    const int8_t *input = x + ((top + ky) * in_w + left + columns.first) * in_c + c;
                    for (int16_t n = columns.end - columns.first; n > 0; n--, input += in_c) {
                        if (average)
                            sum += *input;
                        else
                            value = *input > value ? *input : value;
                    }
                }
                if (average) /* rounded to the nearest */
                    value = (int16_t)((sum > 0 ? sum + count / 2 : sum - count / 2) / count);
                *y++ = (int8_t)clamp(value, act_min, act_max);
            }
        }
    }
}

void hil_max_pool_s8_plain(const HIL_FLASH struct hil_pool_s8 *p, const int8_t *x, int8_t *y)
{
    pool(p, x, y, 0);
}

void hil_average_pool_s8(const HIL_FLASH struct hil_pool_s8 *p, const int8_t *x, int8_t *y)
{
    pool(p, x, y, 1);
}
