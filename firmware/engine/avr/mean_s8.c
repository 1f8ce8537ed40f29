/* int8 mean over height and width, with a change of scale. */
#include "requantize.h"

void hil_mean_s8_plain(const HIL_FLASH struct hil_mean_s8 *p, const int8_t *x, int8_t *y)
{
    const uint16_t channels = (uint16_t)p->channels, pixels = (uint16_t)p->pixels;
    for (uint16_t c = 0; c < channels; c++) {
        const int8_t *input = x + c;
        int32_t sum = -p->in_zero * (int32_t)pixels;
        for (uint16_t left = pixels; left != 0; left--, input += channels)
            sum += *input;
        *y++ = (int8_t)clamp(scale_by(sum, p->multiplier, p->shift) + p->out_zero, -128, 127);
    }
}
