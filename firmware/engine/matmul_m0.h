/* The product of matmul_s8.h on Armv6-M, which multiplies 32 bits by 32 in a cycle, but has no instruction for two products.
 *
 * Columns. One word for each input of two pixels, x0 + 65536 x1, so that a multiplication by a weight gives both
 * products: w x0 + 65536 w x1. Sums of two such products are taken apart before the lower half overflows.
 *
 * Weights. As in matmul_s8.h. */
#ifndef HIL_MATMUL_M0_H
#define HIL_MATMUL_M0_H

#include "matmul_s8.h"

/* Added to each sum of two products, which lie in -32,512 to 32,768, for either half: the lower one can't be negative then, nor
 * the upper one leave its 16 bits. */
#define LOWER_OFFSET 32512
#define UPPER_OFFSET (-256)
#define PAIR_OFFSET (UPPER_OFFSET * 65536 + LOWER_OFFSET)

/* Of a row, over all pairs of inputs: the sums as they are, which wrap around, and their upper halves, which are the second
 * pixel's. */
struct pair_sums {
    uint32_t even, odd, even_upper, odd_upper;
};

/* From where the sums of `words` pairs of inputs come out without the offsets. */
ALWAYS_INLINE struct pair_sums pair_start(uint32_t words)
{
    uint32_t sum = (uint32_t)0 - words * (uint32_t)PAIR_OFFSET, upper = (uint32_t)0 - words * (uint32_t)UPPER_OFFSET;
    return (struct pair_sums){sum, sum, upper, upper};
}

/* Both in assembly: the compiler keeps too little in the upper eight registers, and takes nearly twice the instructions. They
 * return where the next row of weights begins; `words` > 0. */
#define ROW_LOOP(body)                                                                                    \
    register const uint32_t *end __asm__("r2") = weights + words; /* in LR, which the compiler doesn't give away */ \
    __asm__(".syntax unified\n\t"                                                                         \
            "mov   lr, %[end]\n"                                                                          \
            "1:\n\t" body                                                                                 \
            "cmp   %[w], lr\n\t"                                                                          \
            "bne   1b"                                                                                    \
            : [x] "+l"(columns), [w] "+l"(weights), [end] "+l"(end), [even] "+h"(s->even), [odd] "+h"(s->odd), \
              [even_upper] "+h"(s->even_upper), [odd_upper] "+h"(s->odd_upper)                            \
            : [offset] "h"(PAIR_OFFSET)                                                                   \
            : "r3", "r4", "r5", "r6", "r7", "lr", "cc", "memory")
/* Takes the sums in r6 (even) and r4 (odd) apart. */
#define ADD_SUMS                                  \
    "add   r6, r6, %[offset]\n\t"                 \
    "add   r4, r4, %[offset]\n\t"                 \
    "add   %[even], %[even], r6\n\t"              \
    "add   %[odd], %[odd], r4\n\t"                \
    "asrs  r6, r6, #16\n\t"                       \
    "asrs  r4, r4, #16\n\t"                       \
    "add   %[even_upper], %[even_upper], r6\n\t"  \
    "add   %[odd_upper], %[odd_upper], r4\n\t"

/* A pair of inputs for each word; an even number of words. */
ALWAYS_INLINE const uint32_t *add_row_s8(struct pair_sums *s, const uint32_t *columns, const uint32_t *weights, uint32_t words)
{
#define WORD                                                                          \
    "ldmia %[x]!, {r2, r3}\n\t" /* two inputs */                                      \
    "ldmia %[w]!, {r4}\n\t"     /* (odd, even) of the second input, of the first */   \
    "asrs  r5, r4, #16\n\t"                                                           \
    "sxtb  r6, r4\n\t"                                                                \
    "sxtb  r7, r5\n\t"                                                                \
    "sxth  r4, r4\n\t"                                                                \
    "subs  r4, r4, r6\n\t"                                                            \
    "subs  r5, r5, r7\n\t"                                                            \
    "asrs  r4, r4, #8\n\t"                                                            \
    "asrs  r5, r5, #8\n\t"                                                            \
    "muls  r6, r2, r6\n\t"                                                            \
    "muls  r7, r3, r7\n\t"                                                            \
    "muls  r4, r2, r4\n\t"                                                            \
    "muls  r5, r3, r5\n\t"                                                            \
    "adds  r6, r6, r7\n\t"                                                            \
    "adds  r4, r4, r5\n\t" ADD_SUMS
    ROW_LOOP(WORD WORD);
#undef WORD
    return weights;
}

/* Weights of 4 bits as in weights_s4.h: four inputs for each word. So few bits need taking apart only once for four products. */
ALWAYS_INLINE const uint32_t *add_row_s4(struct pair_sums *s, const uint32_t *columns, const uint32_t *weights, uint32_t words)
{
#define WEIGHT(to, up, x)                   \
    "lsls  " to ", r5, #" up "\n\t"         \
    "asrs  " to ", " to ", #28\n\t"         \
    "muls  " to ", " x ", " to "\n\t"
#define ADD_WEIGHT(sum, up, x) WEIGHT("r7", up, x) "adds  " sum ", " sum ", r7\n\t"
    ROW_LOOP("ldmia %[x]!, {r2, r3}\n\t" /* the first and the third input */
             "ldmia %[w]!, {r5}\n\t"
             WEIGHT("r6", "28", "r2") ADD_WEIGHT("r6", "12", "r3")
             WEIGHT("r4", "24", "r2") ADD_WEIGHT("r4", "8", "r3")
             "ldmia %[x]!, {r2, r3}\n\t"
             ADD_WEIGHT("r6", "20", "r2") ADD_WEIGHT("r6", "4", "r3")
             ADD_WEIGHT("r4", "16", "r2") ADD_WEIGHT("r4", "0", "r3") ADD_SUMS);
#undef ADD_WEIGHT
#undef WEIGHT
    return weights;
}

#endif
