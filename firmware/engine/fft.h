/* The FFT of real values, forwards and back, in the order of additions and roundings of TFLite Micro's signal library:
 * radix 4, and radix 2 first where the number of pairs is no power of four, each stage divided by its radix if integers.
 *
 * Who includes this has defined REAL and CPX, the types of a real and a complex value, and the arithmetic of the latter
 * (fft_parts.h does it from that of reals): MAKE(re, im), RE, IM, SUM, DIFFERENCE, PRODUCT, CONJUGATE, DIVIDED (by 2 or 4; nothing if float), MINUS_I_SUM (a - i b),
 * PLUS_I_SUM (a + i b), ADDED and SUBTRACTED (of two real values), HALF_SUM, HALF_CONJUGATE_DIFFERENCE. */
#include "hil_signal.h"

#include "dsp.h"

/* Where a value lies before the first stage: at its number with the digits (of 4, the last of 2) reversed. */
ALWAYS_INLINE uint32_t next_place(uint32_t place, uint32_t count)
{
    for (uint32_t size = count; size > 1;) {
        uint32_t part = size % 4u ? size / 2u : size / 4u;
        place += part;
        if (place < size)
            return place;
        place -= size;
        size = part;
    }
    return place;
}

ALWAYS_INLINE uint32_t place_of(uint32_t index, uint32_t count)
{
    uint32_t place = 0;
    for (uint32_t size = count; size > 1;) {
        uint32_t digits = size % 4u ? 2u : 4u;
        size /= digits;
        place += index % digits * size;
        index /= digits;
    }
    return place;
}

/* Two values each, whose twiddle factor is that of angle 0 (which isn't quite 1 in integers). */
static void radix2(CPX *x, uint32_t count, CPX twiddle)
{
    for (CPX *end = x + count; x < end; x += 2) {
        CPX a = DIVIDED(x[0], 2), t = PRODUCT(DIVIDED(x[1], 2), twiddle);
        x[1] = DIFFERENCE(a, t);
        x[0] = SUM(a, t);
    }
}

/* Joins four spectra of `size` values each to one. */
ALWAYS_INLINE void radix4(CPX *x, uint32_t count, uint32_t size, const CPX *twiddles, int inverse)
{
    uint32_t apart = count / (4u * size);
    for (CPX *end = x + count; x < end; x += 3u * size) {
        for (uint32_t t = 0; t < count / 4u; t += apart, x++) {
            CPX *half = x + 2u * size; /* and what lies `size` behind both */
            CPX a = DIVIDED(x[0], 4);
            CPX b = PRODUCT(DIVIDED(x[size], 4), twiddles[t]);
            CPX c = PRODUCT(DIVIDED(half[0], 4), twiddles[2u * t]);
            CPX d = PRODUCT(DIVIDED(half[size], 4), twiddles[3u * t]);
            CPX ac = DIFFERENCE(a, c), bd = DIFFERENCE(b, d);
            a = SUM(a, c);
            b = SUM(b, d);
            x[0] = SUM(a, b);
            x[size] = inverse ? PLUS_I_SUM(ac, bd) : MINUS_I_SUM(ac, bd);
            half[0] = DIFFERENCE(a, b);
            half[size] = inverse ? MINUS_I_SUM(ac, bd) : PLUS_I_SUM(ac, bd);
        }
    }
}

ALWAYS_INLINE void transform(CPX *x, uint32_t count, const CPX *twiddles, int inverse)
{
    uint32_t size = 1;
    if (__builtin_ctz(count) % 2) {
        radix2(x, count, twiddles[0]);
        size = 2;
    }
    for (; size < count; size *= 4u)
        radix4(x, count, size, twiddles, inverse);
}

/* Pairs of values as complex ones, transformed where the spectrum goes, and taken apart there. */
static void rfft(const struct hil_fft *p, const REAL *x, REAL *y)
{
    uint32_t count = p->length / 2u;
    const CPX *to_real = p->to_real;
    CPX *out = (CPX *)(void *)y;
    for (uint32_t row = 0; row < p->rows; row++, x += p->given, out += count + 1u) {
        for (uint32_t i = 0, place = 0; i < count; i++, place = next_place(place, count)) {
            REAL even = 2u * i < p->given ? x[2u * i] : 0, odd = 2u * i + 1u < p->given ? x[2u * i + 1u] : 0;
            out[place] = MAKE(even, odd);
        }
        transform(out, count, p->twiddles, 0);
        CPX first = DIVIDED(out[0], 2);
        out[0] = MAKE(ADDED(RE(first), IM(first)), 0);
        out[count] = MAKE(SUBTRACTED(RE(first), IM(first)), 0);
        for (uint32_t k = 1; k <= count / 2u; k++) {
            CPX a = DIVIDED(out[k], 2), b = DIVIDED(CONJUGATE(out[count - k]), 2);
            CPX even = SUM(a, b), odd = PRODUCT(DIFFERENCE(a, b), to_real[k - 1u]);
            out[k] = HALF_SUM(even, odd);
            out[count - k] = HALF_CONJUGATE_DIFFERENCE(even, odd);
        }
    }
}

static void irfft(const struct hil_fft *p, const REAL *x, REAL *y)
{
    uint32_t count = p->length / 2u;
    const CPX *to_real = p->to_real, *in = (const CPX *)(const void *)x;
    CPX *out = (CPX *)(void *)y;
    for (uint32_t row = 0; row < p->rows; row++, in += count + 1u, out += count) {
        REAL first = RE(in[0]), last = RE(in[count]);
        out[0] = DIVIDED(MAKE(ADDED(first, last), SUBTRACTED(first, last)), 2);
        for (uint32_t k = 1; k <= count / 2u; k++) {
            CPX a = DIVIDED(in[k], 2), b = DIVIDED(CONJUGATE(in[count - k]), 2);
            CPX even = SUM(a, b), odd = PRODUCT(DIFFERENCE(a, b), to_real[k - 1u]);
            out[place_of(k, count)] = SUM(even, odd);
            out[place_of(count - k, count)] = CONJUGATE(DIFFERENCE(even, odd));
        }
        transform(out, count, p->twiddles, 1);
    }
}
