/* FFT of int16: 15 bits behind the point, products rounded, sums wrap around. */
#define REAL int16_t
#define ROUNDED(product) (int16_t)(((product) + (1 << 14)) >> 15)
#define PRODUCT_RE(a, b) ROUNDED((a).re * (b).re - (a).im * (b).im)
#define PRODUCT_IM(a, b) ROUNDED((a).re * (b).im + (a).im * (b).re)
#define DIVIDED(a, by) ROUNDED((a) * (INT16_MAX / (by)))
#define SUM(a, b) (int16_t)((a) + (b))
#define DIFFERENCE(a, b) (int16_t)((a) - (b))
#define NEGATED(a) (int16_t)(-(a))
#define HALF_SUM(a, b) (int16_t)(((a) + (b)) >> 1)
#define HALF_DIFFERENCE(a, b) (int16_t)(((a) - (b)) >> 1)
#include "fft.h"

void hil_rfft_s16(const struct hil_fft *p, const int16_t *x, int16_t *y)
{
    rfft(p, x, y);
}

void hil_irfft_s16(const struct hil_fft *p, const int16_t *x, int16_t *y)
{
    irfft(p, x, y);
}
