/* float convolution by a 1 x 1 kernel with stride 1: the input is the matrix. */
#include "matmul_f32.h"

void hil_conv1x1_f32(const struct hil_conv_f32 *p, const float *x, float *y, void *scratch)
{
    const struct hil_window *w = &p->window;
    struct matmul_f32 m = {p->weights, p->bias, w->in_c, w->out_c, p->act_min, p->act_max};
    uint32_t pixels = (uint32_t)w->out_h * w->out_w;
    (void)scratch;
    for (; pixels >= 4; pixels -= 4) {
        hil_matmul_four_f32(&m, x, y);
        x += 4 * w->in_c;
        y += 4 * w->out_c;
    }
    for (; pixels; pixels--) {
        matmul_one(&m, x, y);
        x += w->in_c;
        y += w->out_c;
    }
}
