#include "softmax_s8.h"

void hil_softmax_s8(const struct hil_softmax_s8 *p, const int8_t *x, int8_t *y)
{
    for (uint32_t row = 0; row < p->rows; row++)
        softmax_row(p, x + row * p->depth, y + row * p->depth, 8);
}
