/* int8 mean over height and width, with a change of scale. */
#include "requantize.h"

static int8_t finish(const struct hil_mean_s8 *p, int32_t sum)
{
    sum -= p->in_zero * (int32_t)p->pixels;
    return (int8_t)clamp(scale_by(sum, p->multiplier, p->shift) + p->out_zero, -128, 127);
}

/* Four channels at a time (a multiple of four there are), in 16-bit halves: 256 inputs can't overflow them. */
void hil_mean_s8(const struct hil_mean_s8 *p, const int8_t *x, int8_t *y)
{
    for (uint32_t c = 0; c < p->channels; c += 4) {
        int32_t sum[4] = {0, 0, 0, 0};
        const int8_t *input = x + c;
        for (uint32_t left = p->pixels; left;) {
            uint32_t block = left < 256 ? left : 256;
            uint32_t even = 0, odd = 0;
            left -= block;
            for (; block; block--, input += p->channels) {
                uint32_t bytes = load4(input);
                even = sxtab16(even, bytes);
                odd = sxtab16_ror8(odd, bytes);
            }
            sum[0] += (int16_t)even;
            sum[1] += (int16_t)odd;
            sum[2] += (int16_t)(even >> 16);
            sum[3] += (int16_t)(odd >> 16);
        }
        for (int i = 0; i < 4; i++)
            *y++ = finish(p, sum[i]);
    }
}

void hil_mean_s8_plain(const struct hil_mean_s8 *p, const int8_t *x, int8_t *y)
{
    for (uint32_t c = 0; c < p->channels; c++) {
        int32_t sum = 0;
        for (uint32_t i = 0; i < p->pixels; i++)
            sum += x[i * p->channels + c];
        *y++ = finish(p, sum);
    }
}
