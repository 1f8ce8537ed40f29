/* int8 convolution by a 1 x 1 kernel with stride 1: the input is the matrix, two pixels are two columns. */
#include "matmul_s8.h"

/* Both pixels are spread before either output is written, so `y` may be `x` if out_c <= in_c. */
void hil_conv1x1_s8(const struct hil_conv_s8 *p, const int8_t *x, int8_t *y, void *scratch)
{
    uint32_t in_c = p->window.in_c, out_c = p->window.out_c;
    uint32_t quads = (in_c + 3u) / 4u;
    uint32_t *columns = scratch;
    uint32_t pixels = (uint32_t)p->window.out_h * p->window.out_w;
    for (; pixels >= 2; pixels -= 2) {
        matmul_spread(columns, x, quads);
        matmul_spread(columns + 1, x + in_c, quads);
        hil_matmul_pixels(p, columns, quads, y, 2);
        x += 2 * in_c;
        y += 2 * out_c;
    }
    if (pixels) {
        matmul_spread(columns, x, quads);
        hil_matmul_pixels(p, columns, quads, y, 1);
    }
}
