/* What an int8 convolution reads at one output pixel, spread to 16 bits for the product of matmul_s8.h. */
#ifndef HIL_COLUMNS_S8_H
#define HIL_COLUMNS_S8_H

#include "matmul_s8.h"

/* One column of the im2col matrix: the inputs that the kernel sees at one output pixel, row by row of the kernel. A
 * kernel row is padded to a multiple of four inputs, whose weights are zero. */
struct column {
    const struct hil_conv_s8 *p;
    const int8_t *x;
    uint32_t quads; /* of a kernel row */
    uint32_t alternating; /* columns, 4 or 2 */
    int8_t *row;    /* holds one */
};

/* Spreads `rows` kernel rows that lie `stride` inputs apart. */
static uint32_t *spread(const struct column *f, uint32_t *column, const int8_t *x, uint32_t rows, uint32_t stride)
{
    uint32_t quads = f->quads;
    if (f->alternating == 4) {
        for (; rows; rows--, x += stride)
            column = matmul_spread(column, x, quads, 4);
    } else {
        for (; rows; rows--, x += stride)
            column = matmul_spread(column, x, quads, 2);
    }
    return column;
}

/* The kernel lies inside of the image, with its corner at `source`. */
static void fill_inside(const struct column *f, uint32_t *column, const int8_t *source)
{
    spread(f, column, source, f->p->window.k_h, (uint32_t)f->p->window.in_w * f->p->window.in_c);
}

/* A kernel row, whose left end is at pixel (iy, ix), into `row`. What is outside of the image is the zero point. */
static void fetch_row(const struct column *f, int8_t *row, int32_t iy, int32_t ix)
{
    const struct hil_window *w = &f->p->window;
    int32_t run = w->k_w * w->in_c;
    int32_t skip = ix < 0 ? -ix * w->in_c : 0; /* inputs of the row left of the image */
    int32_t right = (w->in_w - ix) * w->in_c;  /* where the image ends */
    int32_t stop = right < run ? right : run;
    memset(row, f->p->quant.in_zero, f->quads * 4u);
    if (iy >= 0 && iy < w->in_h && stop > skip)
        memcpy(row + skip, f->x + (iy * w->in_w + ix) * w->in_c + skip, (uint32_t)(stop - skip));
}

/* The kernel, with its corner at pixel (iy, ix), reaches over the border. */
static void fill_border(const struct column *f, uint32_t *column, int32_t iy, int32_t ix)
{
    for (int32_t ky = 0; ky < f->p->window.k_h; ky++) {
        fetch_row(f, f->row, iy + ky, ix);
        column = spread(f, column, f->row, 1, 0);
    }
}

#endif
