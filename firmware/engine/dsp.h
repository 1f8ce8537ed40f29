/* The Cortex-M4 DSP instructions that the kernels use, and the same in portable C, so that the kernels also
 * run on a host. Names are those of the instructions. */
#ifndef HIL_DSP_H
#define HIL_DSP_H

#include <stdint.h>
#include <string.h>

#define ALWAYS_INLINE static inline __attribute__((always_inline))

/* Four bytes from any address; Cortex-M4 loads a misaligned word in one instruction. The builtin stays one also where
 * the library's functions are not assumed (-ffreestanding), but on Armv6-M it becomes a call. */
static inline uint32_t load4(const void *address)
{
#ifdef __ARM_ARCH_6M__
    const uint8_t *bytes = address;
    return bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
#else
    uint32_t word;
    __builtin_memcpy(&word, address, 4);
    return word;
#endif
}

#ifndef __ARM_ARCH_6M__
static inline void store4(void *address, uint32_t word)
{
    __builtin_memcpy(address, &word, 4);
}
#endif

#if defined(__ARM_FEATURE_DSP) && __ARM_FEATURE_DSP

#include <arm_acle.h>

#define smlad(a, b, sum) __smlad((int32_t)(a), (int32_t)(b), (sum))
#define smlabb(a, b, sum) __smlabb((int32_t)(a), (int32_t)(b), (sum))
#define smlatt(a, b, sum) __smlatt((int32_t)(a), (int32_t)(b), (sum))
#define smlabt(a, b, sum) __smlabt((int32_t)(a), (int32_t)(b), (sum))
#define smlatb(a, b, sum) __smlatb((int32_t)(a), (int32_t)(b), (sum))
#define smulbb(a, b) ((int32_t)(int16_t)(a) * (int16_t)(b))
#define smultt(a, b) (((int32_t)(a) >> 16) * ((int32_t)(b) >> 16))
#define smlawb(a, b, sum) __smlawb((a), (int32_t)(b), (sum))
#define smlawt(a, b, sum) __smlawt((a), (int32_t)(b), (sum))
#define ssat8(value) __ssat((value), 8)
#define sxtb16(bytes) ((uint32_t)__sxtb16((int8x4_t)(bytes)))
#define sxtab16(halves, bytes) ((uint32_t)__sxtab16((int16x2_t)(halves), (int8x4_t)(bytes)))

/* Two words from a word-aligned address in one instruction (LDRD), which the compiler tends to split. `index` is a
 * constant number of words, at most 62. The last operand says what memory is read, and costs nothing. */
#define LOAD_TWO(first, second, address, index)                          \
    __asm__("ldrd %0, %1, [%2, %3]"                                       \
            : "=r"(first), "=r"(second)                                   \
            : "r"(address), "i"(4 * (index)), "m"(*(const uint32_t(*)[64])(address)))

/* With the rotation inside the instruction, which the compiler doesn't do by itself. */
static inline uint32_t sxtb16_ror8(uint32_t bytes)
{
    uint32_t halves;
    __asm__("sxtb16 %0, %1, ror #8" : "=r"(halves) : "r"(bytes));
    return halves;
}

static inline uint32_t sxtab16_ror8(uint32_t addend, uint32_t bytes)
{
    uint32_t halves;
    __asm__("sxtab16 %0, %1, %2, ror #8" : "=r"(halves) : "r"(addend), "r"(bytes));
    return halves;
}

/* The lower halves of `low` and `high`; the upper ones. */
static inline uint32_t lower_halves(uint32_t low, uint32_t high)
{
    uint32_t halves;
    __asm__("pkhbt %0, %1, %2, lsl #16" : "=r"(halves) : "r"(low), "r"(high));
    return halves;
}

static inline uint32_t upper_halves(uint32_t low, uint32_t high)
{
    uint32_t halves;
    __asm__("pkhtb %0, %2, %1, asr #16" : "=r"(halves) : "r"(low), "r"(high));
    return halves;
}

/* ssat8(value >> shift) in one instruction; `shift` is a constant, 1 to 31. */
ALWAYS_INLINE int32_t ssat8_asr(int32_t value, const int shift)
{
    int32_t saturated;
    __asm__("ssat %0, #8, %1, asr %2" : "=r"(saturated) : "r"(value), "i"(shift));
    return saturated;
}

static inline int32_t smmulr(int32_t a, int32_t b)
{
    int32_t high;
    __asm__("smmulr %0, %1, %2" : "=r"(high) : "r"(a), "r"(b));
    return high;
}

/* The greater of each of four signed bytes. The two instructions stay together: SSUB8 sets the flags that SEL reads. */
static inline uint32_t smax8(uint32_t a, uint32_t b)
{
    uint32_t greater;
    __asm__("ssub8 %0, %1, %2\n\tsel %0, %1, %2" : "=&r"(greater) : "r"(a), "r"(b));
    return greater;
}

#else

#define LOAD_TWO(first, second, address, index) ((first) = (address)[index], (second) = (address)[(index) + 1])

static inline int32_t low_half(uint32_t halves)
{
    return (int16_t)(halves & 0xffffu);
}

static inline int32_t high_half(uint32_t halves)
{
    return (int16_t)(halves >> 16);
}

static inline uint32_t pack_halves(int32_t low, int32_t high)
{
    return ((uint32_t)low & 0xffffu) | ((uint32_t)high << 16);
}

static inline uint32_t lower_halves(uint32_t low, uint32_t high)
{
    return (low & 0xffffu) | high << 16;
}

static inline uint32_t upper_halves(uint32_t low, uint32_t high)
{
    return low >> 16 | (high & 0xffff0000u);
}

/* Sums wrap around, as in the registers. */
static inline int32_t wrapping_add(int32_t a, int32_t b)
{
    return (int32_t)((uint32_t)a + (uint32_t)b);
}

static inline int32_t smlad(uint32_t a, uint32_t b, int32_t sum)
{
    sum = wrapping_add(sum, low_half(a) * low_half(b));
    return wrapping_add(sum, high_half(a) * high_half(b));
}

static inline int32_t smlabb(uint32_t a, uint32_t b, int32_t sum)
{
    return wrapping_add(sum, low_half(a) * low_half(b));
}

static inline int32_t smlatt(uint32_t a, uint32_t b, int32_t sum)
{
    return wrapping_add(sum, high_half(a) * high_half(b));
}

static inline int32_t smlabt(uint32_t a, uint32_t b, int32_t sum)
{
    return wrapping_add(sum, low_half(a) * high_half(b));
}

static inline int32_t smlatb(uint32_t a, uint32_t b, int32_t sum)
{
    return wrapping_add(sum, high_half(a) * low_half(b));
}

static inline int32_t smulbb(uint32_t a, uint32_t b)
{
    return low_half(a) * low_half(b);
}

static inline int32_t smultt(uint32_t a, uint32_t b)
{
    return high_half(a) * high_half(b);
}

/* a x b / 2^16, rounded down, without a product of 64 bits; b has 16. */
static inline int32_t upper_product(int32_t a, int32_t b)
{
    return wrapping_add((a >> 16) * b, (a & 0xffff) * b >> 16);
}

static inline int32_t smlawb(int32_t a, uint32_t b, int32_t sum)
{
    return wrapping_add(sum, upper_product(a, low_half(b)));
}

static inline int32_t smlawt(int32_t a, uint32_t b, int32_t sum)
{
    return wrapping_add(sum, upper_product(a, high_half(b)));
}

static inline uint32_t sxtb16(uint32_t bytes)
{
    return pack_halves((int8_t)(bytes & 0xffu), (int8_t)((bytes >> 16) & 0xffu));
}

static inline uint32_t sxtb16_ror8(uint32_t bytes)
{
    return sxtb16((bytes >> 8) | (bytes << 24));
}

static inline uint32_t sxtab16(uint32_t addend, uint32_t bytes)
{
    uint32_t halves = sxtb16(bytes);
    return pack_halves(low_half(addend) + low_half(halves), high_half(addend) + high_half(halves));
}

static inline uint32_t sxtab16_ror8(uint32_t addend, uint32_t bytes)
{
    return sxtab16(addend, (bytes >> 8) | (bytes << 24));
}

#ifdef __ARM_ARCH_6M__
#define smmulr hil_smmulr
int32_t smmulr(int32_t a, int32_t b); /* requantize_m0.c */
#else
static inline int32_t smmulr(int32_t a, int32_t b)
{
    return (int32_t)(((int64_t)a * b + 0x80000000ll) >> 32);
}
#endif

static inline int32_t ssat8(int32_t value)
{
    int32_t byte = (int8_t)(value & 0xff);
    return byte == value ? byte : (value >> 31) ^ 127;
}

static inline int32_t ssat8_asr(int32_t value, int shift)
{
    return ssat8(value >> shift);
}

static inline uint32_t smax8(uint32_t a, uint32_t b)
{
    uint32_t greater = 0;
    for (int shift = 0; shift < 32; shift += 8) {
        int8_t x = (int8_t)(a >> shift), y = (int8_t)(b >> shift);
        greater |= (uint32_t)(uint8_t)(x > y ? x : y) << shift;
    }
    return greater;
}

#endif

#endif
