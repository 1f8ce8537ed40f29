/* int8 maximum of the inputs in a window. */
#include "requantize.h"

struct span { /* the part of a window that lies inside of the image */
    int32_t y0, y1, x0, x1;
};

static struct span inside(const struct hil_window *w, int32_t oy, int32_t ox)
{
    int32_t top = oy * w->stride_h - w->pad_top, left = ox * w->stride_w - w->pad_left;
    return (struct span){
        .y0 = top < 0 ? 0 : top,
        .y1 = top + w->k_h < w->in_h ? top + w->k_h : w->in_h,
        .x0 = left < 0 ? 0 : left,
        .x1 = left + w->k_w < w->in_w ? left + w->k_w : w->in_w,
    };
}

#ifndef __ARM_ARCH_6M__ /* the plain one is as good there */
/* Four channels at a time; in_c is a multiple of four and the clamp is that of int8. */
void hil_max_pool_s8(const struct hil_pool_s8 *p, const int8_t *x, int8_t *y)
{
    const struct hil_window *w = &p->window;
    for (int32_t oy = 0; oy < w->out_h; oy++) {
        for (int32_t ox = 0; ox < w->out_w; ox++) {
            struct span s = inside(w, oy, ox);
            for (int32_t c = 0; c < w->in_c; c += 4, y += 4) {
                uint32_t greatest = 0x80808080u;
                for (int32_t iy = s.y0; iy < s.y1; iy++) {
                    const int8_t *input = x + (iy * w->in_w + s.x0) * w->in_c + c;
                    for (int32_t n = s.x1 - s.x0; n > 0; n--, input += w->in_c)
                        greatest = smax8(greatest, load4(input));
                }
                store4(y, greatest);
            }
        }
    }
}
#else
void hil_max_pool_s8(const struct hil_pool_s8 *p, const int8_t *x, int8_t *y)
{
    const struct hil_window *w = &p->window;
    uint32_t in_c = w->in_c;
    for (int32_t oy = 0; oy < w->out_h; oy++) {
        for (int32_t ox = 0; ox < w->out_w; ox++) {
            struct span s = inside(w, oy, ox);
            const int8_t *corner = x + (s.y0 * w->in_w + s.x0) * w->in_c;
            for (uint32_t c = in_c; c; c--, corner++) {
                const int8_t *row = corner;
                int32_t greatest = -128;
                for (int32_t rows = s.y1 - s.y0; rows; rows--, row += w->in_w * in_c) {
                    const int8_t *input = row;
                    for (int32_t n = s.x1 - s.x0; n > 0; n--, input += in_c)
                        greatest = *input > greatest ? *input : greatest;
                }
                *y++ = (int8_t)greatest;
            }
        }
    }
}
#endif

void hil_max_pool_s8_plain(const struct hil_pool_s8 *p, const int8_t *x, int8_t *y)
{
    const struct hil_window *w = &p->window;
    for (int32_t oy = 0; oy < w->out_h; oy++) {
        for (int32_t ox = 0; ox < w->out_w; ox++) {
            struct span s = inside(w, oy, ox);
            for (int32_t c = 0; c < w->in_c; c++) {
                int32_t greatest = -128;
                for (int32_t iy = s.y0; iy < s.y1; iy++) {
                    for (int32_t ix = s.x0; ix < s.x1; ix++) {
                        int32_t input = x[(iy * w->in_w + ix) * w->in_c + c];
                        greatest = input > greatest ? input : greatest;
                    }
                }
                *y++ = (int8_t)clamp(greatest, p->act_min, p->act_max);
            }
        }
    }
}
