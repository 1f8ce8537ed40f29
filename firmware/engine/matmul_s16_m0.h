/* The product of conv_s16.c on Armv6-M, in assembly for the reason given in matmul_m0.h. */
#ifndef HIL_MATMUL_S16_M0_H
#define HIL_MATMUL_S16_M0_H

#include "requantize_s16.h"

struct sums { /* of the even and the odd channel, for the first and the second column */
    int32_t even0, odd0, even1, odd1;
};

/* Adds the products of two columns with a row of weights from `weights` to `behind`. */
ALWAYS_INLINE void add_quads(struct sums *s, const uint32_t *x0, const uint32_t *x1, const uint32_t *weights,
                             const uint32_t *behind)
{
    register const uint32_t *end __asm__("r2") = behind; /* in LR, which the compiler doesn't give away */
/* The weight of one channel, already in r7, by the inputs r5 and r6. */
#define ADD(first, second)                       \
    "movs  r2, r7\n\t"                           \
    "muls  r2, r5, r2\n\t"                       \
    "muls  r7, r6, r7\n\t"                       \
    "add   %[" first "], %[" first "], r2\n\t"   \
    "add   %[" second "], %[" second "], r7\n\t"
/* An input of each column, `at` bytes further on; its weights are `up` bits below the top of r3 and r4. */
#define INPUT(at, up)                            \
    "ldrh  r5, [%[x0], #" at "]\n\t"             \
    "ldrh  r6, [%[x1], #" at "]\n\t"             \
    "lsls  r7, r3, #" up "\n\t"                  \
    "sxth  r5, r5\n\t"                           \
    "sxth  r6, r6\n\t"                           \
    "asrs  r7, r7, #24\n\t" ADD("even0", "even1") \
    "lsls  r7, r4, #" up "\n\t"                  \
    "asrs  r7, r7, #24\n\t" ADD("odd0", "odd1")
    __asm__(".syntax unified\n\t"
            "mov   lr, %[end]\n"
            "1:\n\t"
            "mov   r2, %[w]\n\t"
            "ldmia r2!, {r3, r4}\n\t"
            "mov   %[w], r2\n\t" INPUT("0", "24") INPUT("2", "8") INPUT("4", "16") INPUT("6", "0")
            "adds  %[x0], #8\n\t"
            "adds  %[x1], #8\n\t"
            "cmp   %[w], lr\n\t"
            "bne   1b"
            : [x0] "+l"(x0), [x1] "+l"(x1), [w] "+h"(weights), [even0] "+h"(s->even0), [odd0] "+h"(s->odd0),
              [even1] "+h"(s->even1), [odd1] "+h"(s->odd1), [end] "+l"(end)
            :
            : "r3", "r4", "r5", "r6", "r7", "lr", "cc", "memory");
#undef INPUT
#undef ADD
}

#endif
