/* Any int8 function of one int8: a table with the output for each of the 256 bytes. */
#include "dsp.h"
#include "hil_engine.h"

/* Four at a time; `y` may be `x`. */
void hil_lookup_s8(const struct hil_lookup_s8 *p, const int8_t *x, int8_t *y)
{
    const int8_t *table = p->table;
    uint32_t n = p->count;
    for (; n >= 4; n -= 4) {
        uint32_t bytes = load4(x);
        y[0] = table[bytes & 0xffu];
        y[1] = table[(bytes >> 8) & 0xffu];
        y[2] = table[(bytes >> 16) & 0xffu];
        y[3] = table[bytes >> 24];
        x += 4;
        y += 4;
    }
    for (; n; n--)
        *y++ = table[(uint8_t)*x++];
}
