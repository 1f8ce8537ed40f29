/* Puts an input of a concatenation into its place, cuts a patch out of an image, puts one into an image, or moves rows
 * that are kept to the front of their buffer. */
#include "hil_engine.h"

void hil_copy_rows(const HIL_FLASH struct hil_copy_rows *p, const void *x, void *y)
{
    const char *from = x;
    char *to = (char *)y + p->to_offset;
    for (uint16_t left = (uint16_t)p->rows; left != 0; left--) {
        memmove(to, from, (uint16_t)p->row_bytes); /* one row may overlap itself, never another */
        from += p->from_stride;
        to += p->to_stride;
    }
}
