/* int8 padding of up to four dimensions. */
#include "hil_engine.h"

#include <string.h>

void hil_pad_s8(const struct hil_pad *p, const int8_t *x, int8_t *y)
{
    memset(y, (int)p->value, p->out[0] * p->out[1] * p->out[2] * p->out[3]);
    for (uint32_t i = 0; i < p->in[0]; i++) {
        for (uint32_t j = 0; j < p->in[1]; j++) {
            uint32_t row = (i + p->before[0]) * p->out[1] + j + p->before[1];
            int8_t *to = y + (row * p->out[2] + p->before[2]) * p->out[3] + p->before[3];
            for (uint32_t k = 0; k < p->in[2]; k++, x += p->in[3], to += p->out[3])
                memcpy(to, x, p->in[3]);
        }
    }
}
