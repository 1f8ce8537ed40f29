/* The sum at the heart of the int8 layers on an AVR: inputs in RAM by weights in flash. */
#ifndef HIL_PRODUCTS_S8_H
#define HIL_PRODUCTS_S8_H

#include "requantize.h"

/* sum + (x - zero) x weights, over `count` of each. Inputs are taken as x + 128, bytes without a sign, by which one instruction
 * multiplies a weight (AVR Instruction Set Manual, MULSU: the carry is the product's sign). Behind a ReLU the zero point is
 * -128, and that is all; else what x + 128 has too much is the same for each input, so that the sum of the weights tells it:
 * they are added as w + 128, too. The loops are in assembly because the compiler keeps both addresses in one register. */
static inline int32_t add_products(int32_t sum, const int8_t *x, const HIL_FLASH int8_t *weights, uint16_t count,
                                   int16_t zero)
{
    const uint16_t all = count;
    uint32_t total = 0;
    uint8_t input, weight, sign;
    if (count == 0)
        return sum;
    if (zero == -128) {
        __asm__ volatile("1:\n\t"
                         "ld %[input], %a[x]+\n\t"
                         "subi %[input], 0x80\n\t"
                         "lpm %[weight], %a[weights]+\n\t"
                         "mulsu %[weight], %[input]\n\t"
                         "sbc %[sign], %[sign]\n\t"
                         "add %A[sum], r0\n\t"
                         "adc %B[sum], r1\n\t"
                         "adc %C[sum], %[sign]\n\t"
                         "adc %D[sum], %[sign]\n\t"
                         "sbiw %[count], 1\n\t"
                         "brne 1b\n\t"
                         "clr r1"
                         : [sum] "+r"(sum), [x] "+x"(x), [weights] "+z"(weights), [count] "+w"(count),
                           [input] "=&a"(input), [weight] "=&a"(weight), [sign] "=&r"(sign)
                         :
                         : "r0", "memory");
        return sum;
    }
    __asm__ volatile("1:\n\t"
                     "ld %[input], %a[x]+\n\t"
                     "subi %[input], 0x80\n\t"
                     "lpm %[weight], %a[weights]+\n\t"
                     "mulsu %[weight], %[input]\n\t"
                     "sbc %[sign], %[sign]\n\t"
                     "add %A[sum], r0\n\t"
                     "adc %B[sum], r1\n\t"
                     "adc %C[sum], %[sign]\n\t"
                     "adc %D[sum], %[sign]\n\t"
                     "subi %[weight], 0x80\n\t"
                     "clr r1\n\t"
                     "add %A[total], %[weight]\n\t"
                     "adc %B[total], r1\n\t"
                     "adc %C[total], r1\n\t"
                     "sbiw %[count], 1\n\t"
                     "brne 1b"
                     : [sum] "+r"(sum), [total] "+r"(total), [x] "+x"(x), [weights] "+z"(weights), [count] "+w"(count),
                       [input] "=&a"(input), [weight] "=&a"(weight), [sign] "=&r"(sign)
                     :
                     : "r0", "memory");
    return sum - (zero + 128) * ((int32_t)total - 128 * (int32_t)all);
}

/* Where a window at `start` (negative: in the padding) meets `size` inputs: the first and behind the last position of its
 * `kernel`. */
struct span {
    int16_t first, end;
};

static inline struct span span_of(int16_t start, uint16_t kernel, uint16_t size)
{
    const int16_t left = (int16_t)size - start;
    return (struct span){start < 0 ? -start : 0, left < (int16_t)kernel ? left : (int16_t)kernel};
}

#endif
