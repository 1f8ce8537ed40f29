/* The product at the heart of int8 layers on vectors: four outputs at a time, of two rows of weights (matmul_s8.h),
 * share the spreading of the inputs, so that no copy of the spread inputs is needed. */
#ifndef HIL_PRODUCT_S8_H
#define HIL_PRODUCT_S8_H

#include "requantize.h"

struct sums { /* of two rows: E and 256 x O + E */
    int32_t even0, mixed0, even1, mixed1;
};

#if defined(__ARM_FEATURE_DSP) && __ARM_FEATURE_DSP && defined(__OPTIMIZE__)

/* Four inputs. Loads right behind each other take one cycle each instead of two, if 32-bit instructions lie at word
 * boundaries; all of these do. */
#define ADD_QUAD                                \
    "ldr.w  %[b], [%[row0], #4]\n\t"            \
    "ldr.w  %[a], [%[row0]], #8\n\t"            \
    "ldr.w  %[d], [%[row1], #4]\n\t"            \
    "ldr.w  %[c], [%[row1]], #8\n\t"            \
    "ldr.w  %[x02], [%[x]], #4\n\t"             \
    "sxtb16 %[x13], %[x02], ror #8\n\t"         \
    "sxtb16 %[x02], %[x02]\n\t"                 \
    "smlad  %[mixed0], %[a], %[x02], %[mixed0]\n\t" \
    "smlad  %[mixed0], %[b], %[x13], %[mixed0]\n\t" \
    "smlad  %[mixed1], %[c], %[x02], %[mixed1]\n\t" \
    "smlad  %[mixed1], %[d], %[x13], %[mixed1]\n\t" \
    "sxtb16 %[a], %[a]\n\t"                     \
    "sxtb16 %[b], %[b]\n\t"                     \
    "sxtb16 %[c], %[c]\n\t"                     \
    "sxtb16 %[d], %[d]\n\t"                     \
    "smlad  %[even0], %[a], %[x02], %[even0]\n\t" \
    "smlad  %[even0], %[b], %[x13], %[even0]\n\t" \
    "smlad  %[even1], %[c], %[x02], %[even1]\n\t" \
    "smlad  %[even1], %[d], %[x13], %[even1]\n\t"

/* An odd number of quads begins in the middle of the loop. */
ALWAYS_INLINE struct sums two_rows(const int8_t *x, uint32_t quads, const uint32_t *row0, const uint32_t *row1)
{
    struct sums s = {0, 0, 0, 0};
    const int8_t *end = x + 4 * quads;
    uint32_t a, b, c, d, x13;
    __asm__ volatile("lsrs   %[x02], %[x02], #1\n\t"
                     "bcs    2f\n\t"
                     ".p2align 2\n"
                     "1:\n\t" ADD_QUAD
                     "2:\n\t" ADD_QUAD
                     "cmp    %[x], %[end]\n\t"
                     "bne    1b"
                     : [even0] "+r"(s.even0), [even1] "+r"(s.even1), [mixed0] "+r"(s.mixed0), [mixed1] "+r"(s.mixed1),
                       [x] "+r"(x), [row0] "+r"(row0), [row1] "+r"(row1), [x02] "+r"(quads), [x13] "=&r"(x13),
                       [a] "=&r"(a), [b] "=&r"(b), [c] "=&r"(c), [d] "=&r"(d)
                     : [end] "r"(end)
                     : "cc", "memory");
    return s;
}

#else

ALWAYS_INLINE struct sums two_rows(const int8_t *x, uint32_t quads, const uint32_t *row0, const uint32_t *row1)
{
    struct sums s = {0, 0, 0, 0};
    for (; quads; quads--, x += 4, row0 += 2, row1 += 2) {
        uint32_t bytes = load4(x);
        uint32_t x02 = sxtb16(bytes), x13 = sxtb16_ror8(bytes);
        s.mixed0 = smlad(row0[1], x13, smlad(row0[0], x02, s.mixed0));
        s.mixed1 = smlad(row1[1], x13, smlad(row1[0], x02, s.mixed1));
        s.even0 = smlad(sxtb16(row0[1]), x13, smlad(sxtb16(row0[0]), x02, s.even0));
        s.even1 = smlad(sxtb16(row1[1]), x13, smlad(sxtb16(row1[0]), x02, s.even1));
    }
    return s;
}

#endif

struct matrix_s8 { /* of weights in pairs of rows, see matmul_s8.h */
    const int8_t *weights;
    const struct hil_channel *channels;
    const struct hil_quant *quant;
    uint32_t outputs, quads;
};

/* All outputs of one vector of `quads` x 4 inputs (fully_connected_s8.c). */
void hil_matrix_by_vector_s8(const struct matrix_s8 *m, const int8_t *x, int8_t *y);

/* Four sums of `quads` x 4 inputs by two rows of weights. Returns where the row after `second` begins. */
ALWAYS_INLINE const uint32_t *four_sums(int32_t sum[4], const int8_t *input, uint32_t quads, const uint32_t *weights,
                                        const uint32_t *second)
{
    const struct sums s = two_rows(input, quads, weights, second);
    sum[0] = s.even0;
    sum[1] = (int32_t)((uint32_t)s.mixed0 - (uint32_t)s.even0) >> 8;
    sum[2] = s.even1;
    sum[3] = (int32_t)((uint32_t)s.mixed1 - (uint32_t)s.even1) >> 8;
    return second + 2 * quads;
}

#endif
