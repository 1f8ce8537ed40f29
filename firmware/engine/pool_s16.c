/* int16 average and maximum of the inputs in a window, mean over pixels, and padding. */
#include "requantize.h"

ALWAYS_INLINE void pool(const struct hil_pool_s8 *p, const int16_t *x, int16_t *y, int average)
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
                int32_t value = average ? 0 : INT16_MIN;
                for (int32_t iy = y0; iy < y1; iy++) {
                    const int16_t *input = x + (iy * w->in_w + x0) * w->in_c + c;
                    for (int32_t n = x1 - x0; n > 0; n--, input += w->in_c)
                        value = average ? value + *input : *input > value ? *input : value;
                }
                if (average)
                    value = (value > 0 ? value + count / 2 : value - count / 2) / count;
                *y++ = (int16_t)clamp(value, p->act_min, p->act_max);
            }
        }
    }
}

void hil_average_pool_s16(const struct hil_pool_s8 *p, const int16_t *x, int16_t *y)
{
    pool(p, x, y, 1);
}

void hil_max_pool_s16(const struct hil_pool_s8 *p, const int16_t *x, int16_t *y)
{
    pool(p, x, y, 0);
}

void hil_mean_s16(const struct hil_mean_s8 *p, const int16_t *x, int16_t *y)
{
    for (uint32_t c = 0; c < p->channels; c++) {
        int32_t sum = 0;
        for (uint32_t i = 0; i < p->pixels; i++)
            sum += x[i * p->channels + c];
        y[c] = (int16_t)clamp(scale_by(sum, p->multiplier, p->shift), INT16_MIN, INT16_MAX);
    }
}

void hil_pad_s16(const struct hil_pad *p, const int16_t *x, int16_t *y)
{
    uint32_t count = p->out[0] * p->out[1] * p->out[2] * p->out[3];
    for (uint32_t i = 0; i < count; i++)
        y[i] = (int16_t)p->value;
    for (uint32_t i = 0; i < p->in[0]; i++) {
        for (uint32_t j = 0; j < p->in[1]; j++) {
            uint32_t row = (i + p->before[0]) * p->out[1] + j + p->before[1];
            int16_t *to = y + (row * p->out[2] + p->before[2]) * p->out[3] + p->before[3];
            for (uint32_t k = 0; k < p->in[2]; k++, x += p->in[3], to += p->out[3])
                memcpy(to, x, p->in[3] * sizeof *x);
        }
    }
}
