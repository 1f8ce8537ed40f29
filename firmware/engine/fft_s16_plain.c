/* FFT of int16 in plain C: 15 bits behind the point, products rounded, sums wrap around. */
#include <stdint.h>

#define REAL int16_t
#define ROUNDED(product) (int16_t)(((product) + (1 << 14)) >> 15)
#define PRODUCT_RE(a, b) ROUNDED((a).re * (b).re - (a).im * (b).im)
#define PRODUCT_IM(a, b) ROUNDED((a).re * (b).im + (a).im * (b).re)
#define DIVIDED_REAL(a, by) ROUNDED((a) * (INT16_MAX / (by)))
#define ADDED(a, b) (int16_t)((a) + (b))
#define SUBTRACTED(a, b) (int16_t)((a) - (b))
#define NEGATED(a) (int16_t)(-(a))
#define HALF_ADDED(a, b) (int16_t)(((a) + (b)) >> 1)
#define HALF_SUBTRACTED(a, b) (int16_t)(((a) - (b)) >> 1)
#include "fft_parts.h"

#include "fft.h"

void hil_rfft_s16_plain(const struct hil_fft *p, const int16_t *x, int16_t *y)
{
    rfft(p, x, y);
}

void hil_irfft_s16_plain(const struct hil_fft *p, const int16_t *x, int16_t *y)
{
    irfft(p, x, y);
}
