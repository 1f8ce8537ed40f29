/* What matmul_s8.c does with four columns at once, in assembly for the Cortex-M4 and M7: it takes all 14 registers,
 * where compilers spill some, and has loads right behind each other, which take one cycle each instead of two. For that,
 * 32-bit instructions must lie at word boundaries. The same in C for other computers. */
#ifndef HIL_FOUR_COLUMNS_H
#define HIL_FOUR_COLUMNS_H

#include "requantize.h"

struct row_sums { /* of a row of weights (matmul_s8.h) with each column: E, and 256 x O + E */
    int32_t even0, even1, even2, even3, mixed0, mixed1, mixed2, mixed3;
};

#if defined(__ARM_FEATURE_DSP) && __ARM_FEATURE_DSP && defined(__OPTIMIZE__)

/* Two inputs of each column. */
#define FOUR_COLUMNS                              \
    "ldr.w  %[w], [%[weights]], #4\n\t"           \
    "ldr.w  %[a], [%[columns], #8]\n\t"           \
    "ldr.w  %[b], [%[columns], #12]\n\t"          \
    "sxtb16 %[e], %[w]\n\t"                       \
    "smlad  %[mixed2], %[w], %[a], %[mixed2]\n\t" \
    "smlad  %[mixed3], %[w], %[b], %[mixed3]\n\t" \
    "smlad  %[even2], %[e], %[a], %[even2]\n\t"   \
    "smlad  %[even3], %[e], %[b], %[even3]\n\t"   \
    "ldrd   %[a], %[b], [%[columns]], #16\n\t"    \
    "smlad  %[mixed0], %[w], %[a], %[mixed0]\n\t" \
    "smlad  %[mixed1], %[w], %[b], %[mixed1]\n\t" \
    "smlad  %[even0], %[e], %[a], %[even0]\n\t"   \
    "smlad  %[even1], %[e], %[b], %[even1]\n\t"

/* Four columns of `quads` x 4 inputs by a row of weights that ends at `end`. An odd number of quads begins in the
 * middle of the loop. */
ALWAYS_INLINE struct row_sums four_columns(const uint32_t *columns, const uint32_t *weights, const uint32_t *end,
                                            uint32_t quads)
{
    struct row_sums s = {0, 0, 0, 0, 0, 0, 0, 0};
    uint32_t e, a, b;
    __asm__ volatile("lsrs  %[w], %[w], #1\n\t"
            "bcs   2f\n\t"
            ".p2align 2\n"
            "1:\n\t" FOUR_COLUMNS FOUR_COLUMNS
            "2:\n\t" FOUR_COLUMNS FOUR_COLUMNS
            "ldr   %[w], %[end]\n\t"
            "cmp   %[w], %[weights]\n\t"
            "bne   1b"
            : [even0] "+r"(s.even0), [even1] "+r"(s.even1), [even2] "+r"(s.even2), [even3] "+r"(s.even3),
              [mixed0] "+r"(s.mixed0), [mixed1] "+r"(s.mixed1), [mixed2] "+r"(s.mixed2), [mixed3] "+r"(s.mixed3),
              [columns] "+r"(columns), [weights] "+r"(weights), [w] "+r"(quads), [e] "=&r"(e), [a] "=&r"(a),
              [b] "=&r"(b)
            : [end] "m"(end)
            : "cc", "memory");
    return s;
}

/* requantize_fast of a sum, which `twice` shifts to its double. */
#define OUTPUT(sum, twice)                                 \
    "add.w  " sum ", %[bias], " sum ", " twice "\n\t"      \
    "smmulr " sum ", " sum ", %[multiplier]\n\t"           \
    "add.w  " sum ", " sum ", " sum ", asr #31\n\t"        \
    "add    " sum ", %[round]\n\t"                         \
    "asrs   " sum ", %[shift]\n\t"                         \
    "ssat   " sum ", #8, " sum "\n\t"                      \
    "strb   " sum ", [%[y]]\n\t"

#define NEXT_PIXEL "add    %[y], %[out_c]\n\t"

/* One channel of four pixels, which lie `out_c` apart. */
#define STORE_FOUR(twice)                                                                                      \
    int32_t bias, multiplier, round;                                                                           \
    __asm__ volatile(                                                                                          \
        ".p2align 2\n\t"                                                                                       \
        "ldr.w  %[bias], [%[shift]]\n\t"                                                                       \
        "ldr.w  %[multiplier], [%[shift], #4]\n\t"                                                             \
        "ldr.w  %[round], [%[shift], #8]\n\t"                                                                  \
        "ldr.w  %[shift], [%[shift], #12]\n\t"                                                                 \
        "lsls   %[bias], %[bias], #1\n\t"                                                                      \
        OUTPUT("%[sum0]", twice) NEXT_PIXEL OUTPUT("%[sum1]", twice) NEXT_PIXEL                                \
        OUTPUT("%[sum2]", twice) NEXT_PIXEL OUTPUT("%[sum3]", twice)                                           \
        : [bias] "=&r"(bias), [multiplier] "=&r"(multiplier), [round] "=&r"(round), [shift] "+r"(channel),     \
          [y] "+r"(y), [sum0] "+r"(sum0), [sum1] "+r"(sum1), [sum2] "+r"(sum2), [sum3] "+r"(sum3)              \
        : [out_c] "r"(out_c)                                                                                   \
        : "cc", "memory")

ALWAYS_INLINE void store_even(const struct hil_channel *channel, int32_t sum0, int32_t sum1, int32_t sum2, int32_t sum3,
                              int8_t *y, uint32_t out_c)
{
    STORE_FOUR("lsl #1");
}

/* The sums are still 256 times what they should be. */
ALWAYS_INLINE void store_odd(const struct hil_channel *channel, int32_t sum0, int32_t sum1, int32_t sum2, int32_t sum3,
                             int8_t *y, uint32_t out_c)
{
    STORE_FOUR("asr #7");
}

#else

ALWAYS_INLINE struct row_sums four_columns(const uint32_t *columns, const uint32_t *weights, const uint32_t *end,
                                            uint32_t quads)
{
    struct row_sums s = {0, 0, 0, 0, 0, 0, 0, 0};
    (void)quads;
    for (; weights != end; weights++, columns += 4) {
        uint32_t w = *weights, e = sxtb16(w);
        s.mixed0 = smlad(w, columns[0], s.mixed0);
        s.mixed1 = smlad(w, columns[1], s.mixed1);
        s.mixed2 = smlad(w, columns[2], s.mixed2);
        s.mixed3 = smlad(w, columns[3], s.mixed3);
        s.even0 = smlad(e, columns[0], s.even0);
        s.even1 = smlad(e, columns[1], s.even1);
        s.even2 = smlad(e, columns[2], s.even2);
        s.even3 = smlad(e, columns[3], s.even3);
    }
    return s;
}

ALWAYS_INLINE void store_even(const struct hil_channel *channel, int32_t sum0, int32_t sum1, int32_t sum2, int32_t sum3,
                              int8_t *y, uint32_t out_c)
{
    const int32_t sum[4] = {sum0, sum1, sum2, sum3};
    for (int i = 0; i < 4; i++, y += out_c)
        *y = requantize_fast(sum[i] + channel->bias, channel);
}

ALWAYS_INLINE void store_odd(const struct hil_channel *channel, int32_t sum0, int32_t sum1, int32_t sum2, int32_t sum3,
                             int8_t *y, uint32_t out_c)
{
    store_even(channel, sum0 >> 8, sum1 >> 8, sum2 >> 8, sum3 >> 8, y, out_c);
}

#endif

#endif
