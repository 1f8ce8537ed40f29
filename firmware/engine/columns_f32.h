/* Columns of the im2col matrix for the float convolutions. */
#ifndef HIL_COLUMNS_F32_H
#define HIL_COLUMNS_F32_H

#include "hil_engine.h"

/* One column of the im2col matrix: the inputs that the kernel sees at output pixel (oy, ox); zero outside. */
static inline void fill_column(const struct hil_window *w, const float *x, float *column, int32_t oy, int32_t ox)
{
    int32_t run = w->k_w * w->in_c;
    int32_t iy = oy * w->stride_h - w->pad_top;
    int32_t ix = ox * w->stride_w - w->pad_left;
    int32_t skip = ix < 0 ? -ix * w->in_c : 0;
    int32_t right = (w->in_w - ix) * w->in_c;
    int32_t stop = right < run ? right : run;
    for (int32_t ky = 0; ky < w->k_h; ky++, iy++, column += run) {
        const float *source = x + (iy * w->in_w + ix) * w->in_c;
        int32_t i = 0;
        if (iy >= 0 && iy < w->in_h) {
            for (; i < skip; i++)
                column[i] = 0.0f;
            for (; i < stop; i++)
                column[i] = source[i];
        }
        for (; i < run; i++)
            column[i] = 0.0f;
    }
}

#endif
