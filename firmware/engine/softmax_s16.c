/* int16 softmax by two tables, as TFLite Micro computes it: exp() of what is between -10 and 0, and 1 / (1 + x). */
#include "requantize.h"

/* Between the 513 values of a table. */
static int32_t interpolated(const int16_t *table, int32_t x)
{
    int32_t at = 256 + (x >> 7);
    int32_t slope = (int16_t)(table[at + 1] - table[at]);
    return (int16_t)(table[at] + ((slope * (x & 0x7f) + 64) >> 7));
}

/* `y` may not be `x`: it holds the exponentials until their sum is known. */
void hil_softmax_s16(const struct hil_softmax_s16 *p, const int16_t *x, int16_t *y)
{
    for (uint32_t row = 0; row < p->rows; row++, x += p->depth, y += p->depth) {
        int32_t greatest = INT16_MIN, sum = 0; /* Q15 */
        for (uint32_t i = 0; i < p->depth; i++)
            greatest = x[i] > greatest ? x[i] : greatest;
        for (uint32_t i = 0; i < p->depth; i++) {
            int32_t difference = scale_by(x[i] - greatest, p->multiplier, p->shift);
            y[i] = (int16_t)interpolated(p->exponentials, clamp(difference + 32767, INT16_MIN, INT16_MAX));
            sum += y[i];
        }
        int headroom = __builtin_clz((uint32_t)sum); /* the greatest input adds one: sum > 0 */
        int32_t shifted = (int32_t)((((int64_t)sum << (headroom - 1)) + (1 << 13)) >> 14);
        int32_t share = interpolated(p->reciprocals, clamp(shifted - (1 << 15) - (1 << 16), INT16_MIN, INT16_MAX));
        int right = 31 - headroom;
        for (uint32_t i = 0; i < p->depth; i++)
            y[i] = (int16_t)clamp((y[i] * share + (1 << (right - 1))) >> right, 0, INT16_MAX);
    }
}
