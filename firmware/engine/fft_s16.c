/* FFT of int16, real part and imaginary part in one word. Without DSP instructions: the plain one. */
#include "hil_signal.h"

#if defined(__ARM_FEATURE_DSP) && __ARM_FEATURE_DSP

#include <arm_acle.h>

#define REAL int16_t
#define CPX uint32_t

/* What the compiler doesn't make of shifts and masks: the halves of two words in one, the lower one shifted. */
#define PACK_TOP(top, low, shift)                                                                                 \
    ({                                                                                                            \
        uint32_t packed;                                                                                          \
        __asm__("pkhtb %0, %1, %2, asr %3" : "=r"(packed) : "r"(top), "r"(low), "i"(shift));                      \
        packed;                                                                                                   \
    })

#define RE(a) (int16_t)(a)
#define IM(a) (int16_t)((a) >> 16)
#define MAKE(re, im) ((uint16_t)(re) | (uint32_t)(uint16_t)(im) << 16)
#define ADDED(a, b) (int16_t)((a) + (b))
#define SUBTRACTED(a, b) (int16_t)((a) - (b))
#define SUM(a, b) (uint32_t)__sadd16((int16x2_t)(a), (int16x2_t)(b))
#define DIFFERENCE(a, b) (uint32_t)__ssub16((int16x2_t)(a), (int16x2_t)(b))
#define MINUS_I_SUM(a, b) (uint32_t)__ssax((int16x2_t)(a), (int16x2_t)(b))
#define PLUS_I_SUM(a, b) (uint32_t)__sasx((int16x2_t)(a), (int16x2_t)(b))
#define HALF_SUM(a, b) (uint32_t)__shadd16((int16x2_t)(a), (int16x2_t)(b))
#define HALF_CONJUGATE_DIFFERENCE(a, b)                                                                           \
    MAKE(__shsub16((int16x2_t)(a), (int16x2_t)(b)), (uint32_t)__shsub16((int16x2_t)(b), (int16x2_t)(a)) >> 16)
#define CONJUGATE(a) MAKE(a, -((a) >> 16))
#define PRODUCT(a, b) fft_product(a, b)
#define DIVIDED(a, by) fft_divided(a, 2 * (INT16_MAX / (by)))

/* Sums of 31 bits, whose upper 17 are the rounded product of 15 bits behind the point. */
static inline uint32_t fft_product(uint32_t a, uint32_t b)
{
    int32_t re = __smlsd((int16x2_t)a, (int16x2_t)b, 1 << 14), im = __smladx((int16x2_t)a, (int16x2_t)b, 1 << 14);
    return PACK_TOP((uint32_t)im << 1, re, 15);
}

/* Twice the factor, so that the rounded products are the upper halves. */
static inline uint32_t fft_divided(uint32_t a, int32_t factor)
{
    int32_t re = __smlabb((int32_t)a, factor, 1 << 15), im = __smlatb((int32_t)a, factor, 1 << 15);
    return PACK_TOP(im, re, 16);
}

#include "fft.h"

void hil_rfft_s16(const struct hil_fft *p, const int16_t *x, int16_t *y)
{
    rfft(p, x, y);
}

void hil_irfft_s16(const struct hil_fft *p, const int16_t *x, int16_t *y)
{
    irfft(p, x, y);
}

#else

void hil_rfft_s16(const struct hil_fft *p, const int16_t *x, int16_t *y)
{
    hil_rfft_s16_plain(p, x, y);
}

void hil_irfft_s16(const struct hil_fft *p, const int16_t *x, int16_t *y)
{
    hil_irfft_s16_plain(p, x, y);
}

#endif
