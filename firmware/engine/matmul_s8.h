/* The product at the heart of the int8 convolutions: two columns of inputs by the rows of the weight matrix.
 *
 * Columns. Inputs are spread to 16 bits, four at a time: a word (x0, x2) and a word (x1, x3), as SXTB16 gives
 * them. The words of two columns alternate.
 *
 * Weights. Two output channels share a row: e belongs to the even, o to the odd one. A halfword holds
 * 256 x o + e, so that one SMLAD with the halfwords as they are gives 256 x O + E, one with their low bytes
 * sign-extended gives E, and the difference gives O: three instructions' work in two. Sums wrap around, but O is
 * exact as long as it fits in 24 bits, which the compiler has checked. */
#ifndef HIL_MATMUL_S8_H
#define HIL_MATMUL_S8_H

#include "requantize.h"

struct sums { /* of a row, for the first and the second column: E and 256 x O + E */
    int32_t even0, mixed0, even1, mixed1;
};

/* Four inputs of each column, `quad` x 4 further on. */
ALWAYS_INLINE void matmul_quad(struct sums *s, const uint32_t *columns, const uint32_t *weights, const int quad)
{
    uint32_t w0, w1, x0, x1;
    LOAD_TWO(w0, w1, weights, 2 * quad);
    LOAD_TWO(x0, x1, columns, 4 * quad);
    s->mixed0 = smlad(w0, x0, s->mixed0);
    s->mixed1 = smlad(w0, x1, s->mixed1);
    w0 = sxtb16(w0);
    s->even0 = smlad(w0, x0, s->even0);
    s->even1 = smlad(w0, x1, s->even1);
    LOAD_TWO(x0, x1, columns, 4 * quad + 2);
    s->mixed0 = smlad(w1, x0, s->mixed0);
    s->mixed1 = smlad(w1, x1, s->mixed1);
    w1 = sxtb16(w1);
    s->even0 = smlad(w1, x0, s->even0);
    s->even1 = smlad(w1, x1, s->even1);
}

/* All output channels of one or two pixels from their columns of `quads` x 4 inputs (matmul_s8.c). */
void hil_matmul_pixels(const struct hil_conv_s8 *p, const uint32_t *columns, uint32_t quads, int8_t *y, uint32_t pixels);

/* Spreads `quads` x 4 inputs into one of the two alternating columns. */
static inline uint32_t *matmul_spread(uint32_t *column, const int8_t *x, uint32_t quads)
{
    for (; quads; quads--) {
        uint32_t bytes = load4(x);
        column[0] = sxtb16(bytes);
        column[2] = sxtb16_ror8(bytes);
        column += 4;
        x += 4;
    }
    return column;
}

#endif
