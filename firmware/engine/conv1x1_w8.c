/* float convolution with int8 weights by a 1 x 1 kernel with stride 1: the input is the matrix. */
#include "matmul_w8.h"

void hil_conv1x1_w8(const struct hil_conv_w8 *p, const float *x, float *y, void *scratch)
{
    const struct hil_window *w = &p->window;
    struct matmul_w8 m = {p->weights, p->scales, p->bias, w->in_c, w->out_c, p->act_min, p->act_max};
    uint32_t pixels = (uint32_t)w->out_h * w->out_w;
    (void)scratch;
    for (; pixels >= 2; pixels -= 2) {
        matmul_two_w8(&m, x, x + w->in_c, y, y + w->out_c);
        x += 2 * w->in_c;
        y += 2 * w->out_c;
    }
    if (pixels)
        matmul_one_w8(&m, x, y);
}
