/* The product at the heart of the int8 convolutions: columns of inputs by the rows of the weight matrix.
 *
 * Columns. Inputs are spread to 16 bits, four at a time: a word (x0, x2) and a word (x1, x3), as SXTB16 gives
 * them. The words of four columns alternate, so that a weight read from flash serves four pixels. The last pixels of an
 * image, if fewer than four are left, are vectors (product_s8.h).
 *
 * Weights. Two output channels share a row: e belongs to the even, o to the odd one. A halfword holds
 * 256 x o + e, so that one SMLAD with the halfwords as they are gives 256 x O + E, one with their low bytes
 * sign-extended gives E, and the difference gives O: three instructions' work in two. Sums wrap around, but O is
 * exact as long as it fits in 24 bits, which the compiler has checked. */
#ifndef HIL_MATMUL_S8_H
#define HIL_MATMUL_S8_H

#include "requantize.h"

/* All output channels of four pixels from their columns of `quads` x 4 inputs (matmul_s8.c). */
void hil_matmul_four_s8(const struct hil_conv_s8 *p, const uint32_t *columns, uint32_t quads, int8_t *y);

/* Spreads `quads` x 4 inputs into one of `columns` alternating columns, a constant. Returns where it goes on. */
ALWAYS_INLINE uint32_t *matmul_spread(uint32_t *column, const int8_t *x, uint32_t quads, const uint32_t columns)
{
    if (quads & 1u) {
        uint32_t bytes = load4(x);
        column[0] = sxtb16(bytes);
        column[columns] = sxtb16_ror8(bytes);
        column += 2 * columns;
        x += 4;
    }
    for (quads /= 2; quads; quads--) {
        uint32_t first = load4(x), second = load4(x + 4);
        column[0] = sxtb16(first);
        column[columns] = sxtb16_ror8(first);
        column[2 * columns] = sxtb16(second);
        column[3 * columns] = sxtb16_ror8(second);
        column += 4 * columns;
        x += 8;
    }
    return column;
}

#endif
