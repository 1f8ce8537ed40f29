/* Any int8 function of one int8: a table with the output for each of the 256 bytes. `y` may be `x`. */
#include "hil_engine.h"

void hil_lookup_s8(const HIL_FLASH struct hil_lookup_s8 *p, const int8_t *x, int8_t *y)
{
    const HIL_FLASH int8_t *const table = p->table;
    for (uint16_t left = (uint16_t)p->count; left != 0; left--)
        *y++ = table[(uint8_t)*x++];
}
