/* FFT of int32: 31 bits behind the point, products rounded, sums wrap around. */
#include <stdint.h>

#define REAL int32_t
#define ROUNDED(product) (int32_t)(((product) + (1 << 30)) >> 31)
#define PRODUCT_RE(a, b) ROUNDED((int64_t)(a).re * (b).re - (int64_t)(a).im * (b).im)
#define PRODUCT_IM(a, b) ROUNDED((int64_t)(a).re * (b).im + (int64_t)(a).im * (b).re)
#define DIVIDED_REAL(a, by) ROUNDED((int64_t)(a) * (INT32_MAX / (by)))
#define ADDED(a, b) (int32_t)((uint32_t)(a) + (uint32_t)(b))
#define SUBTRACTED(a, b) (int32_t)((uint32_t)(a) - (uint32_t)(b))
#define NEGATED(a) (int32_t)(0u - (uint32_t)(a))
#define HALF_ADDED(a, b) (ADDED(a, b) >> 1)
#define HALF_SUBTRACTED(a, b) (SUBTRACTED(a, b) >> 1)
#include "fft_parts.h"

#include "fft.h"

void hil_rfft_s32(const struct hil_fft *p, const int32_t *x, int32_t *y)
{
    rfft(p, x, y);
}

void hil_irfft_s32(const struct hil_fft *p, const int32_t *x, int32_t *y)
{
    irfft(p, x, y);
}
