/* int8 padding of up to four dimensions. */
#include "hil_engine.h"

#include <string.h>

void hil_pad_s8(const HIL_FLASH struct hil_pad *p, const int8_t *x, int8_t *y)
{
    const uint16_t rows = (uint16_t)p->out[1], pixels = (uint16_t)p->out[2], channels = (uint16_t)p->out[3];
    const uint16_t run = (uint16_t)p->in[3];
    memset(y, (int)p->value, (uint16_t)p->out[0] * rows * pixels * channels);
    for (uint16_t i = 0; i < (uint16_t)p->in[0]; i++) {
        for (uint16_t j = 0; j < (uint16_t)p->in[1]; j++) {
            const uint16_t row = (i + (uint16_t)p->before[0]) * rows + j + (uint16_t)p->before[1];
            int8_t *to = y + (row * pixels + (uint16_t)p->before[2]) * channels + (uint16_t)p->before[3];
            for (uint16_t k = (uint16_t)p->in[2]; k != 0; k--, x += run, to += channels)
                memcpy(to, x, run);
        }
    }
}
