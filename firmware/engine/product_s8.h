/* The product at the heart of int8 layers on vectors: four outputs at a time, of two rows of weights (matmul_s8.h),
 * share the spreading of the inputs, so that no copy of the spread inputs is needed. */
#ifndef HIL_PRODUCT_S8_H
#define HIL_PRODUCT_S8_H

#include "matmul_s8.h"

struct sums { /* of two rows: E and 256 x O + E */
    int32_t even0, mixed0, even1, mixed1;
};

ALWAYS_INLINE void add_quad(struct sums *s, const int8_t *x, const uint32_t *row0, const uint32_t *row1,
                            const int quad)
{
    uint32_t bytes = load4(x + 4 * quad);
    uint32_t x02 = sxtb16(bytes), x13 = sxtb16_ror8(bytes);
    uint32_t w0, w1;
    LOAD_TWO(w0, w1, row0, 2 * quad);
    s->mixed0 = smlad(w0, x02, s->mixed0);
    s->even0 = smlad(sxtb16(w0), x02, s->even0);
    s->mixed0 = smlad(w1, x13, s->mixed0);
    s->even0 = smlad(sxtb16(w1), x13, s->even0);
    LOAD_TWO(w0, w1, row1, 2 * quad);
    s->mixed1 = smlad(w0, x02, s->mixed1);
    s->even1 = smlad(sxtb16(w0), x02, s->even1);
    s->mixed1 = smlad(w1, x13, s->mixed1);
    s->even1 = smlad(sxtb16(w1), x13, s->even1);
}

/* Four sums of `quads` x 4 inputs by two rows of weights. Returns where the row after `second` begins. */
ALWAYS_INLINE const uint32_t *four_sums(int32_t sum[4], const int8_t *input, uint32_t quads, const uint32_t *weights,
                                        const uint32_t *second)
{
    struct sums s = {0, 0, 0, 0};
    uint32_t n = quads;
    if (n & 1u) {
        add_quad(&s, input, weights, second, 0);
        input += 4;
        weights += 2;
        second += 2;
    }
    for (n /= 2; n; n--) {
        add_quad(&s, input, weights, second, 0);
        add_quad(&s, input, weights, second, 1);
        input += 8;
        weights += 4;
        second += 4;
    }
    sum[0] = s.even0;
    sum[1] = (int32_t)((uint32_t)s.mixed0 - (uint32_t)s.even0) >> 8;
    sum[2] = s.even1;
    sum[3] = (int32_t)((uint32_t)s.mixed1 - (uint32_t)s.even1) >> 8;
    return second;
}

#endif
