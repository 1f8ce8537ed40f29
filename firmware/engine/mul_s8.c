/* int8 product of two tensors of the same shape, or of a tensor and a shorter one that repeats. */
#include "requantize.h"

/* Fast, in the form of requantize_fast(). Inputs less their zero points in 16 bits, (x0, x2) and (x1, x3).
 * Four outputs at a time; both inputs are read before, so `y` may be `x1`. */
ALWAYS_INLINE void mul_run(const struct hil_mul_s8 *p, const int8_t *x1, const int8_t *x2, int8_t *y, uint32_t n)
{
    const struct hil_channel channel = p->channel;
    const uint32_t zero1 = p->minus_zeros[0], zero2 = p->minus_zeros[1];
    for (; n >= 4; n -= 4) {
        uint32_t a = load4(x1), b = load4(x2);
        uint32_t a02 = sxtab16(zero1, a), b02 = sxtab16(zero2, b);
        uint32_t a13 = sxtab16_ror8(zero1, a), b13 = sxtab16_ror8(zero2, b);
        y[0] = requantize_fast(smulbb(a02, b02), &channel);
        y[1] = requantize_fast(smulbb(a13, b13), &channel);
        y[2] = requantize_fast(smultt(a02, b02), &channel);
        y[3] = requantize_fast(smultt(a13, b13), &channel);
        x1 += 4;
        x2 += 4;
        y += 4;
    }
    for (; n; n--) {
        uint32_t a = sxtab16(zero1, (uint32_t)(uint8_t)*x1++), b = sxtab16(zero2, (uint32_t)(uint8_t)*x2++);
        *y++ = requantize_fast(smulbb(a, b), &channel);
    }
}

void hil_mul_s8(const struct hil_mul_s8 *p, const int8_t *x1, const int8_t *x2, int8_t *y)
{
    for (uint32_t at = 0; at < p->count; at += p->period)
        mul_run(p, x1 + at, x2, y + at, p->period);
}

void hil_mul_constant_s8(const struct hil_mul_s8 *p, const int8_t *x, int8_t *y)
{
    hil_mul_s8(p, x, p->constant, y);
}

void hil_mul_s8_plain(const struct hil_mul_s8 *p, const int8_t *x1, const int8_t *x2, int8_t *y)
{
    uint32_t second = 0;
    for (uint32_t i = 0; i < p->count; i++) {
        int32_t a = x1[i] + (int16_t)p->minus_zeros[0], b = x2[second] + (int16_t)p->minus_zeros[1];
        y[i] = requantize(a * b, &p->channel, &p->quant);
        if (++second == p->period)
            second = 0;
    }
}

void hil_mul_constant_s8_plain(const struct hil_mul_s8 *p, const int8_t *x, int8_t *y)
{
    hil_mul_s8_plain(p, x, p->constant, y);
}
