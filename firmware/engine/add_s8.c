/* int8 sum of two tensors of the same shape, or of a tensor and a shorter one that repeats. */
#include "requantize.h"

enum { BITS = 20 }; /* fractional bits of the sum (ADD_BITS of harness/build/pairs.py) */

/* Fast: one multiplication for each input. Inputs stand in the upper bytes of halfwords, a << 8, so that SMLAW keeps
 * 31 bits of a product with a 32-bit factor. Zero points are in the offset. The compiler has checked that all
 * 65,536 pairs of inputs give what the plain kernel's four roundings give.
 * Four outputs at a time; both inputs are read before, so `y` may be `x1`. */
ALWAYS_INLINE void add_run(const struct hil_add_s8 *p, const int8_t *x1, const int8_t *x2, int8_t *y, uint32_t n)
{
    int32_t first = p->first, second = p->second, offset = p->offset;
    const uint32_t upper = 0xff00ff00u;
    for (; n >= 4; n -= 4) {
        uint32_t a = load4(x1), b = load4(x2);
        uint32_t a13 = a & upper, b13 = b & upper, a02 = (a << 8) & upper, b02 = (b << 8) & upper;
        y[0] = (int8_t)ssat8_asr(smlawb(second, b02, smlawb(first, a02, offset)), BITS);
        y[1] = (int8_t)ssat8_asr(smlawb(second, b13, smlawb(first, a13, offset)), BITS);
        y[2] = (int8_t)ssat8_asr(smlawt(second, b02, smlawt(first, a02, offset)), BITS);
        y[3] = (int8_t)ssat8_asr(smlawt(second, b13, smlawt(first, a13, offset)), BITS);
        x1 += 4;
        x2 += 4;
        y += 4;
    }
    for (; n; n--) {
        uint32_t a = (uint32_t)*x1++ << 8, b = (uint32_t)*x2++ << 8;
        *y++ = (int8_t)ssat8_asr(smlawb(second, b, smlawb(first, a, offset)), BITS);
    }
}

void hil_add_s8(const struct hil_add_s8 *p, const int8_t *x1, const int8_t *x2, int8_t *y)
{
    for (uint32_t at = 0; at < p->count; at += p->period)
        add_run(p, x1 + at, x2, y + at, p->period);
}

void hil_add_constant_s8(const struct hil_add_s8 *p, const int8_t *x, int8_t *y)
{
    hil_add_s8(p, x, p->constant, y);
}

/* As TFLite Micro does it: both inputs in 20 more bits, scaled to twice the greater scale. */
void hil_add_s8_plain(const struct hil_add_s8 *p, const int8_t *x1, const int8_t *x2, int8_t *y)
{
    uint32_t second = 0;
    for (uint32_t i = 0; i < p->count; i++) {
        int32_t a = (x1[i] - p->first_zero) * (1 << 20), b = (x2[second] - p->second_zero) * (1 << 20);
        int32_t sum = scale_by(a, p->first_multiplier, p->first_shift) + scale_by(b, p->second_multiplier, p->second_shift);
        y[i] = (int8_t)clamp(scale_by(sum, p->multiplier, p->shift) + p->out_zero, p->act_min, p->act_max);
        if (++second == p->period)
            second = 0;
    }
}

void hil_add_constant_s8_plain(const struct hil_add_s8 *p, const int8_t *x, int8_t *y)
{
    hil_add_s8_plain(p, x, p->constant, y);
}
