/* The lesser or greater of two int8 of one scale, value by value; the second tensor may be shorter and repeats. */
#include "hil_engine.h"

#define EXTREMUM(name, than)                                                                                      \
    void hil_##name##_s8(const struct hil_extremum_s8 *p, const int8_t *x1, const int8_t *x2, int8_t *y)          \
    {                                                                                                             \
        for (uint32_t i = 0, j = 0; i < p->count; i++) {                                                          \
            y[i] = x1[i] than x2[j] ? x1[i] : x2[j];                                                              \
            if (++j == p->period)                                                                                 \
                j = 0;                                                                                            \
        }                                                                                                         \
    }                                                                                                             \
    void hil_##name##_constant_s8(const struct hil_extremum_s8 *p, const int8_t *x, int8_t *y)                    \
    {                                                                                                             \
        hil_##name##_s8(p, x, p->constant, y);                                                                    \
    }
EXTREMUM(minimum, <)
EXTREMUM(maximum, >)
