/* float convolution, any kernel, stride and padding. */
#include "columns_f32.h"
#include "matmul_f32.h"

void hil_conv_f32(const struct hil_conv_f32 *p, const float *x, float *y, void *scratch)
{
    const struct hil_window *w = &p->window;
    uint32_t depth = (uint32_t)w->k_h * w->k_w * w->in_c;
    struct matmul_f32 m = {p->weights, p->bias, depth, w->out_c, p->act_min, p->act_max};
    float *columns = scratch;
    uint32_t waiting = 0; /* columns filled and not yet multiplied */
    for (int32_t oy = 0; oy < w->out_h; oy++) {
        for (int32_t ox = 0; ox < w->out_w; ox++) {
            fill_column(w, x, columns + waiting * depth, oy, ox);
            if (++waiting == 4) {
                hil_matmul_four_f32(&m, columns, y);
                y += 4 * w->out_c;
                waiting = 0;
            }
        }
    }
    for (uint32_t i = 0; i < waiting; i++, y += w->out_c)
        matmul_one(&m, columns + i * depth, y);
}

void hil_conv_f32_plain(const struct hil_conv_f32 *p, const float *x, float *y, void *scratch)
{
    const struct hil_window *w = &p->window;
    (void)scratch;
    for (int32_t oy = 0; oy < w->out_h; oy++) {
        for (int32_t ox = 0; ox < w->out_w; ox++) {
            int32_t top = oy * w->stride_h - w->pad_top, left = ox * w->stride_w - w->pad_left;
            const float *weights = p->weights;
            for (int32_t c = 0; c < w->out_c; c++) {
                float sum = 0.0f;
                for (int32_t ky = 0; ky < w->k_h; ky++) {
                    for (int32_t kx = 0; kx < w->k_w; kx++, weights += w->in_c) {
                        int32_t iy = top + ky, ix = left + kx;
                        if (iy < 0 || iy >= w->in_h || ix < 0 || ix >= w->in_w)
                            continue;
                        const float *input = x + (iy * w->in_w + ix) * w->in_c;
                        for (int32_t i = 0; i < w->in_c; i++)
                            sum += input[i] * weights[i];
                    }
                }
                *y++ = clamp_f32(sum + p->bias[c], p->act_min, p->act_max);
            }
        }
    }
}
