/* float average and maximum of the inputs in a window; padding doesn't count. */
#include "matmul_f32.h"

#include <string.h>

/* The first input of the window is copied to the output, the others join it pixel by pixel. */
static void pool(const struct hil_pool_f32 *p, const float *x, float *y, int average)
{
    const struct hil_window *w = &p->window;
    uint32_t in_c = w->in_c;
    for (int32_t oy = 0; oy < w->out_h; oy++) {
        int32_t top = oy * w->stride_h - w->pad_top;
        int32_t y0 = top < 0 ? 0 : top, y1 = top + w->k_h < w->in_h ? top + w->k_h : w->in_h;
        for (int32_t ox = 0; ox < w->out_w; ox++, y += in_c) {
            int32_t left = ox * w->stride_w - w->pad_left;
            int32_t x0 = left < 0 ? 0 : left, x1 = left + w->k_w < w->in_w ? left + w->k_w : w->in_w;
            memcpy(y, x + (uint32_t)(y0 * w->in_w + x0) * in_c, in_c * sizeof *y);
            for (int32_t iy = y0; iy < y1; iy++) {
                for (int32_t ix = iy == y0 ? x0 + 1 : x0; ix < x1; ix++) {
                    const float *input = x + (uint32_t)(iy * w->in_w + ix) * in_c;
                    for (uint32_t c = 0; c < in_c; c++) {
                        if (average)
                            y[c] += input[c];
                        else
                            y[c] = input[c] > y[c] ? input[c] : y[c];
                    }
                }
            }
            float count = (float)((y1 - y0) * (x1 - x0));
            for (uint32_t c = 0; c < in_c; c++)
                y[c] = clamp_f32(average ? y[c] / count : y[c], p->act_min, p->act_max);
        }
    }
}

void hil_average_pool_f32(const struct hil_pool_f32 *p, const float *x, float *y)
{
    pool(p, x, y, 1);
}

void hil_max_pool_f32(const struct hil_pool_f32 *p, const float *x, float *y)
{
    pool(p, x, y, 0);
}
