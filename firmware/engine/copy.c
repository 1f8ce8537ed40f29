/* Values in another order, and constants into their place. */
#include "hil_engine.h"

#include <string.h>

void hil_copy(const struct hil_copy *p, const void *x, void *y)
{
    char *to = y;
    const char *at[4];
    const uint32_t run = p->run_bytes, last = p->count[3];
    const int32_t step = p->step[3];
    at[0] = (const char *)x + p->start;
    for (uint32_t i = p->count[0]; i; i--, at[0] += p->step[0]) {
        at[1] = at[0];
        for (uint32_t j = p->count[1]; j; j--, at[1] += p->step[1]) {
            at[2] = at[1];
            for (uint32_t k = p->count[2]; k; k--, at[2] += p->step[2]) {
                const char *from = at[2];
                if (run == 1) {
                    for (uint32_t n = last; n; n--, from += step)
                        *to++ = *from;
                } else if (run == 4 && (((uintptr_t)to | (uintptr_t)from | (uint32_t)step) & 3u) == 0) {
                    for (uint32_t n = last; n; n--, from += step, to += 4)
                        *(uint32_t *)(void *)to = *(const uint32_t *)(const void *)from;
                } else {
                    for (uint32_t n = last; n; n--, from += step, to += run)
                        memcpy(to, from, run);
                }
            }
        }
    }
}

void hil_copy_listed(const struct hil_copy_listed *p, const void *x, void *y)
{
    char *to = y;
    for (uint32_t i = 0; i < p->count; i++, to += p->run_bytes)
        memcpy(to, (const char *)x + p->starts[i], p->run_bytes);
}

void hil_copy_constant(const struct hil_copy_constant *p, void *y)
{
    hil_copy_rows(&p->copy, p->values, y);
}
