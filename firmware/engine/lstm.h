/* The cell of an LSTM with a state of 16 bits, of what its gates' functions are of. */
#ifndef HIL_LSTM_H
#define HIL_LSTM_H

#include "hil_engine.h"
#include "requantize.h"
#include "sigmoid_s16.h"

static inline int32_t clamp_16(int32_t value)
{
    return clamp(value, INT16_MIN, INT16_MAX);
}

/* Calls of one copy of each, since code that a small cache holds waits less for flash. */
static __attribute__((noinline)) int32_t scaled_16(int32_t value, int32_t multiplier, int32_t shift)
{
    return clamp_16(scale_by(value, multiplier, shift));
}

static __attribute__((noinline)) int32_t logistic(const uint16_t *table, int32_t value)
{
    return logistic_s16(table, 3 * value);
}

/* From a unit's gates to its cell state and output, in steps of the latter's scale. */
static inline int32_t unit(const struct hil_lstm_s8 *p, int32_t in, int32_t forget, int32_t news, int32_t out,
                           int16_t *cell)
{
    in = logistic(p->sigmoid, in);
    forget = logistic(p->sigmoid, forget);
    news = tanh_s16(p->sigmoid, 3 * news);
    out = logistic(p->sigmoid, out);
    int32_t kept = scaled_16(forget * *cell, p->kept.multiplier, p->kept.shift);
    int32_t added = scaled_16(in * news, p->added.multiplier, p->added.shift);
    int32_t state = clamp(kept + added, p->cell_min, p->cell_max);
    *cell = (int16_t)state;
    int32_t rounding = p->tanh_shift > 0 ? 1 << (p->tanh_shift - 1) : 0;
    int32_t shown = tanh_s16(p->sigmoid, (state * p->tanh_multiplier + rounding) >> p->tanh_shift);
    return scale_by(shown * out, p->output.multiplier, p->output.shift);
}

#endif
