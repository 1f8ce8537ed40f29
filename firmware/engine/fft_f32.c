/* FFT of float: nothing is divided on the way; what comes back is divided by the length at its end. */
#include <stdint.h>

#define REAL float
#define PRODUCT_RE(a, b) ((a).re * (b).re - (a).im * (b).im)
#define PRODUCT_IM(a, b) ((a).re * (b).im + (a).im * (b).re)
#define DIVIDED_REAL(a, by) ((void)(by), (a))
#define ADDED(a, b) ((a) + (b))
#define SUBTRACTED(a, b) ((a) - (b))
#define NEGATED(a) (-(a))
#define HALF_ADDED(a, b) (((a) + (b)) * 0.5f)
#define HALF_SUBTRACTED(a, b) (((a) - (b)) * 0.5f)
#include "fft_parts.h"

#include "fft.h"

void hil_rfft_f32(const struct hil_fft *p, const float *x, float *y)
{
    rfft(p, x, y);
}

void hil_irfft_f32(const struct hil_fft *p, const float *x, float *y)
{
    irfft(p, x, y);
    const float length = (float)p->length;
    for (float *end = y + p->rows * p->length; y < end; y++)
        *y /= length;
}
