/* Images of another size, each value between four: where they lie, and how near, the compiler has worked out. */
#include "hil_engine.h"

#define RESIZE(suffix, type, weight, one, result)                                                                 \
    void hil_resize_bilinear_##suffix(const struct hil_resize_##suffix *p, const type *x, type *y)                \
    {                                                                                                             \
        for (uint32_t oy = 0; oy < p->out_h; oy++) {                                                              \
            const type *low = x + p->rows[2 * oy] * p->row, *high = x + p->rows[2 * oy + 1] * p->row;             \
            const weight down = p->down[oy], up = (one)-down;                                                     \
            for (uint32_t ox = 0; ox < p->out_w; ox++) {                                                          \
                const uint32_t left = p->columns[2 * ox] * p->channels, right = p->columns[2 * ox + 1] * p->channels; \
                const weight across = p->across[ox], back = (one)-across;                                         \
                const weight w0 = up * back, w1 = down * back, w2 = up * across, w3 = down * across;              \
                for (uint32_t c = 0; c < p->channels; c++) {                                                      \
                    const weight sum = low[left + c] * w0 + high[left + c] * w1 + low[right + c] * w2 +           \
                                       high[right + c] * w3;                                                      \
                    *y++ = (type)(result);                                                                        \
                }                                                                                                 \
            }                                                                                                     \
        }                                                                                                         \
    }
RESIZE(s8, int8_t, int32_t, 1024, (sum + (sum > 0 ? 1 << 19 : -(1 << 19))) / (1 << 20))
RESIZE(f32, float, float, 1.0f, sum)
