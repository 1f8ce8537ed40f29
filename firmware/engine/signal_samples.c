/* Samples before and after the FFT: window, scaling to all of 16 bits, energy of a spectrum. */
#include "hil_signal.h"

#include "requantize.h"

void hil_signal_window(const struct hil_signal_window *p, const int16_t *x, int16_t *y)
{
    for (uint32_t row = 0; row < p->rows; row++) {
        for (uint32_t i = 0; i < p->size; i++)
            *y++ = (int16_t)clamp((*x++ * p->weights[i]) >> p->shift, INT16_MIN, INT16_MAX);
    }
}

/* By how many bits the greatest magnitude may be shifted. -32768 has none in 16 bits: as in TFLite Micro it stands for
 * itself, and the next sample takes its place. */
void hil_signal_scale_bits(const struct hil_signal_count *p, const int16_t *x, int32_t *bits)
{
    int16_t most = 0;
    for (uint32_t i = 0; i < p->count; i++) {
        if (x[i] > most)
            most = x[i];
        else if (-x[i] > most)
            most = (int16_t)-x[i];
    }
    *bits = most > 0 ? __builtin_clz((uint32_t)most) - 17 : 0;
}

void hil_signal_scale(const struct hil_signal_count *p, const int16_t *x, const int32_t *bits, int16_t *y)
{
    const int32_t factor = 1 << *bits;
    for (uint32_t i = 0; i < p->count; i++)
        y[i] = (int16_t)(x[i] * factor);
}

/* Outside of its range the output is 0, where TFLite Micro leaves what was there. */
void hil_signal_energy(const struct hil_signal_energy *p, const int16_t *x, uint32_t *y)
{
    for (uint32_t i = 0; i < p->count; i++, x += 2) {
        uint32_t squares = (uint32_t)(x[0] * x[0]) + (uint32_t)(x[1] * x[1]);
        *y++ = p->begin <= i && i < p->end ? squares : 0;
    }
}
