/* The FFT of real values, forwards and back, in the order of additions and roundings of TFLite Micro's signal library:
 * radix 4, and radix 2 first where the number of pairs is no power of four, each stage divided by its radix if integers.
 *
 * Who includes this has defined REAL, and of its arithmetic: SUM, DIFFERENCE, NEGATED, PRODUCT_RE and PRODUCT_IM (of two
 * complex values), DIVIDED (by 2 or 4), HALF_SUM, HALF_DIFFERENCE. */
#include "hil_signal.h"

#include "dsp.h"

struct complex_value {
    REAL re, im;
};
typedef struct complex_value cpx;

ALWAYS_INLINE cpx product(cpx a, cpx b)
{
    return (cpx){PRODUCT_RE(a, b), PRODUCT_IM(a, b)};
}

ALWAYS_INLINE cpx sum(cpx a, cpx b)
{
    return (cpx){SUM(a.re, b.re), SUM(a.im, b.im)};
}

ALWAYS_INLINE cpx difference(cpx a, cpx b)
{
    return (cpx){DIFFERENCE(a.re, b.re), DIFFERENCE(a.im, b.im)};
}

ALWAYS_INLINE cpx divided(cpx a, int by)
{
    return (cpx){DIVIDED(a.re, by), DIVIDED(a.im, by)};
}

ALWAYS_INLINE cpx conjugate(cpx a)
{
    return (cpx){a.re, NEGATED(a.im)};
}

/* The place of the next value before the first stage: the number with its digits (of 4, the last of 2) reversed. */
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

/* Two values each, whose twiddle factor is that of angle 0 (which isn't quite 1 in integers). */
static void radix2(cpx *x, uint32_t count, const cpx *twiddles)
{
    for (cpx *end = x + count; x < end; x += 2) {
        cpx a = divided(x[0], 2), t = product(divided(x[1], 2), twiddles[0]);
        x[1] = difference(a, t);
        x[0] = sum(a, t);
    }
}

/* Joins four spectra of `size` values each to one. */
ALWAYS_INLINE void radix4(cpx *x, uint32_t count, uint32_t size, const cpx *twiddles, int inverse)
{
    uint32_t apart = count / (4u * size);
    for (cpx *end = x + count; x < end; x += 3u * size) {
        const cpx *tw1 = twiddles, *tw2 = twiddles, *tw3 = twiddles;
        for (uint32_t k = 0; k < size; k++, x++, tw1 += apart, tw2 += 2u * apart, tw3 += 3u * apart) {
            cpx a = divided(x[0], 4);
            cpx b = product(divided(x[size], 4), *tw1);
            cpx c = product(divided(x[2u * size], 4), *tw2);
            cpx d = product(divided(x[3u * size], 4), *tw3);
            cpx apart_ac = difference(a, c), apart_bd = difference(b, d);
            a = sum(a, c);
            b = sum(b, d);
            x[2u * size] = difference(a, b);
            x[0] = sum(a, b);
            cpx turned = {apart_bd.im, NEGATED(apart_bd.re)}; /* times -i */
            x[size] = inverse ? difference(apart_ac, turned) : sum(apart_ac, turned);
            x[3u * size] = inverse ? sum(apart_ac, turned) : difference(apart_ac, turned);
        }
    }
}

ALWAYS_INLINE void transform(cpx *x, uint32_t count, const cpx *twiddles, int inverse)
{
    uint32_t size = 1;
    if (__builtin_ctz(count) % 2) {
        radix2(x, count, twiddles);
        size = 2;
    }
    for (; size < count; size *= 4u)
        radix4(x, count, size, twiddles, inverse);
}

/* Pairs of values as complex ones, transformed where the spectrum goes, and taken apart there. */
ALWAYS_INLINE void rfft(const struct hil_fft *p, const REAL *x, REAL *y)
{
    uint32_t count = p->length / 2u;
    const cpx *to_real = p->to_real;
    cpx *out = (cpx *)(void *)y;
    for (uint32_t row = 0; row < p->rows; row++, x += p->given, out += count + 1u) {
        for (uint32_t i = 0, place = 0; i < count; i++, place = next_place(place, count)) {
            REAL even = 2u * i < p->given ? x[2u * i] : 0, odd = 2u * i + 1u < p->given ? x[2u * i + 1u] : 0;
            out[place] = (cpx){even, odd};
        }
        transform(out, count, p->twiddles, 0);
        cpx first = divided(out[0], 2);
        out[0] = (cpx){SUM(first.re, first.im), 0};
        out[count] = (cpx){DIFFERENCE(first.re, first.im), 0};
        for (uint32_t k = 1; k <= count / 2u; k++) {
            cpx a = divided(out[k], 2), b = divided(conjugate(out[count - k]), 2);
            cpx even = sum(a, b), odd = product(difference(a, b), to_real[k - 1u]);
            out[k] = (cpx){HALF_SUM(even.re, odd.re), HALF_SUM(even.im, odd.im)};
            out[count - k] = (cpx){HALF_DIFFERENCE(even.re, odd.re), HALF_DIFFERENCE(odd.im, even.im)};
        }
    }
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

ALWAYS_INLINE void irfft(const struct hil_fft *p, const REAL *x, REAL *y)
{
    uint32_t count = p->length / 2u;
    const cpx *to_real = p->to_real, *in = (const cpx *)(const void *)x;
    cpx *out = (cpx *)(void *)y;
    for (uint32_t row = 0; row < p->rows; row++, in += count + 1u, out += count) {
        cpx ends = {SUM(in[0].re, in[count].re), DIFFERENCE(in[0].re, in[count].re)};
        out[0] = divided(ends, 2);
        for (uint32_t k = 1; k <= count / 2u; k++) {
            cpx a = divided(in[k], 2), b = divided(conjugate(in[count - k]), 2);
            cpx even = sum(a, b), odd = product(difference(a, b), to_real[k - 1u]);
            out[place_of(k, count)] = sum(even, odd);
            out[place_of(count - k, count)] = conjugate(difference(even, odd));
        }
        transform(out, count, p->twiddles, 1);
    }
}
