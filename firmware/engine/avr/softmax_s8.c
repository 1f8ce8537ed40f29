#include "softmax_s8.h"

void hil_softmax_s8(const HIL_FLASH struct hil_softmax_s8 *p, const int8_t *x, int8_t *y)
{
    const uint16_t depth = (uint16_t)p->depth;
    for (uint16_t row = (uint16_t)p->rows; row != 0; row--, x += depth, y += depth)
        softmax_row(p, x, y, 8);
}

void hil_softmax_s8_s16(const HIL_FLASH struct hil_softmax_s8 *p, const int8_t *x, int16_t *y)
{
    const uint16_t depth = (uint16_t)p->depth;
    for (uint16_t row = (uint16_t)p->rows; row != 0; row--, x += depth, y += depth)
        softmax_row(p, x, y, 16);
}
