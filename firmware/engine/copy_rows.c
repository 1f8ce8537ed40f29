/* Puts an input of a concatenation into its place, cuts a patch out of an image, puts one into an image, or moves rows
 * that are kept to the front of their buffer. */
#include "hil_engine.h"

#include <string.h>

void hil_copy_rows(const struct hil_copy_rows *p, const void *x, void *y)
{
    const char *from = x;
    char *to = (char *)y + p->to_offset;
    for (uint32_t n = p->rows; n; n--) {
        memmove(to, from, p->row_bytes); /* one row may overlap itself, never another */
        from += p->from_stride;
        to += p->to_stride;
    }
}
