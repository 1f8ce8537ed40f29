/* int8 matrix by vector on Armv6-M. Of a row of weights, which two outputs share (matmul_s8.h), come the sums E and 256 x O + E. */
#ifdef __ARM_ARCH_6M__

#include "requantize.h"

struct row_sums {
    uint32_t even, mixed;
};

/* Adds the products of a row of weights from `weights` to `end`, which it returns. */
ALWAYS_INLINE const uint32_t *add_row(struct row_sums *s, const int8_t *x, const uint32_t *weights, const uint32_t *end)
{
#define TWO_INPUTS(word, first, second)               \
    "ldrb  r4, [%[x], #" first "]\n\t"                \
    "sxtb  r5, " word "\n\t"                          \
    "sxtb  r4, r4\n\t"                                \
    "sxth  r6, " word "\n\t"                          \
    "muls  r5, r4, r5\n\t"                            \
    "muls  r6, r4, r6\n\t"                            \
    "add   %[even], %[even], r5\n\t"                  \
    "add   %[mixed], %[mixed], r6\n\t"                \
    "ldrb  r4, [%[x], #" second "]\n\t"               \
    "asrs  " word ", " word ", #16\n\t"               \
    "sxtb  r4, r4\n\t"                                \
    "sxtb  r5, " word "\n\t"                          \
    "muls  " word ", r4, " word "\n\t"                \
    "muls  r5, r4, r5\n\t"                            \
    "add   %[mixed], %[mixed], " word "\n\t"          \
    "add   %[even], %[even], r5\n\t"
    __asm__(".syntax unified\n"
            "1:\n\t"
            "ldmia %[w]!, {r2, r3}\n\t" TWO_INPUTS("r2", "0", "2") TWO_INPUTS("r3", "1", "3")
            "adds  %[x], #4\n\t"
            "cmp   %[w], %[end]\n\t"
            "bne   1b"
            : [x] "+l"(x), [w] "+l"(weights), [even] "+h"(s->even), [mixed] "+h"(s->mixed)
            : [end] "h"(end)
            : "r2", "r3", "r4", "r5", "r6", "cc", "memory");
#undef TWO_INPUTS
    return weights;
}

void hil_fully_connected_s8(const struct hil_fully_connected_s8 *p, const int8_t *x, int8_t *y)
{
    uint32_t words = (p->depth + 3u) / 4u * 2u;
    for (uint32_t row = 0; row < p->rows; row++, x += p->depth) {
        const uint32_t *weights = (const uint32_t *)(const void *)p->weights;
        const struct hil_channel *channel = p->channels;
        for (uint32_t left = p->outputs; left; channel += 2) {
            struct row_sums s = {0, 0};
            weights = add_row(&s, x, weights, weights + words);
            *y++ = requantize_one((int32_t)s.even, channel, &p->quant);
            if (--left == 0)
                break; /* the last row of an odd number of outputs has an even one only */
            int32_t odd = (int32_t)(s.mixed - s.even) >> 8;
            *y++ = requantize_one(odd, channel + 1, &p->quant);
            left--;
        }
    }
}

#endif
