/* FFT of int32: 31 bits behind the point, products rounded, sums wrap around. */
#define REAL int32_t
#define ROUNDED(product) (int32_t)(((product) + (1 << 30)) >> 31)
#define PRODUCT_RE(a, b) ROUNDED((int64_t)(a).re * (b).re - (int64_t)(a).im * (b).im)
#define PRODUCT_IM(a, b) ROUNDED((int64_t)(a).re * (b).im + (int64_t)(a).im * (b).re)
#define DIVIDED(a, by) ROUNDED((int64_t)(a) * (INT32_MAX / (by)))
#define SUM(a, b) (int32_t)((uint32_t)(a) + (uint32_t)(b))
#define DIFFERENCE(a, b) (int32_t)((uint32_t)(a) - (uint32_t)(b))
#define NEGATED(a) (int32_t)(0u - (uint32_t)(a))
#define HALF_SUM(a, b) (SUM(a, b) >> 1)
#define HALF_DIFFERENCE(a, b) (DIFFERENCE(a, b) >> 1)
#include "fft.h"

void hil_rfft_s32(const struct hil_fft *p, const int32_t *x, int32_t *y)
{
    rfft(p, x, y);
}

void hil_irfft_s32(const struct hil_fft *p, const int32_t *x, int32_t *y)
{
    irfft(p, x, y);
}
