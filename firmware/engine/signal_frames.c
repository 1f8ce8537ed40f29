/* Sequences of samples or of features, cut into frames and put together again; what comes later is kept. */
#include "hil_signal.h"

#include "requantize.h"

#include <string.h>

/* A frame begins `step` samples after the one before. A row's history is what the next frame begins with. */
void hil_framer(const struct hil_framer *p, const int16_t *x, int16_t *history, int32_t *seen, uint8_t *whole,
                int16_t *y)
{
    uint32_t left = p->history > p->step ? p->history - p->step : 0;
    for (uint32_t row = 0; row < p->rows; row++, history += p->history) {
        for (uint32_t frame = 0; frame < p->frames; frame++, x += p->step, y += p->size) {
            memcpy(y, history, 2u * p->history);
            memcpy(y + p->history, x, 2u * (p->size - p->history));
            memmove(history, history + p->history - left, 2u * left);
            memcpy(history + left, x + p->step - (p->history - left), 2u * (p->history - left));
        }
    }
    *whole = *seen + 1 >= (int32_t)p->needed;
    *seen = *seen + (int32_t)p->frames < (int32_t)p->needed ? *seen + (int32_t)p->frames : (int32_t)p->needed;
}

/* numbers: how many frames are held, and whether there was a first one, which stands for those before it. */
void hil_stacker(const struct hil_stacker *p, const int16_t *x, int16_t *held, int32_t *numbers, uint8_t *whole,
                 int16_t *y)
{
    uint32_t size = p->channels, count = (uint32_t)numbers[0];
    for (uint32_t copies = numbers[1] ? 1 : 1 + p->repeated; copies; copies--)
        memcpy(held + size * count++, x, 2u * size);
    memcpy(y, held, 2u * size * p->frames);
    *whole = count == p->frames;
    if (*whole) {
        count -= p->step;
        memmove(held, held + size * p->step, 2u * size * count);
    }
    numbers[0] = (int32_t)count;
    numbers[1] = 1;
}

void hil_delay(const struct hil_delay *p, const int16_t *x, int16_t *line, int16_t *y)
{
    uint32_t late = p->delay < p->size ? p->delay : p->size;
    for (uint32_t row = 0; row < p->rows; row++, x += p->size, y += p->size, line += p->delay) {
        memcpy(y, line, 2u * late);
        memcpy(y + late, x, 2u * (p->size - late));
        memmove(line, line + late, 2u * (p->delay - late));
        memcpy(line + p->delay - late, x + p->size - late, 2u * late);
    }
}

#define OVERLAP_ADD(name, real, added)                                                                            \
    void name(const struct hil_overlap_add *p, const real *x, real *tail, real *y)                                \
    {                                                                                                             \
        uint32_t rest = p->size - p->step;                                                                        \
        for (uint32_t row = 0; row < p->rows; row++, tail += rest) {                                              \
            for (uint32_t frame = 0; frame < p->frames; frame++, x += p->size, y += p->step) {                    \
                for (uint32_t i = 0; i < p->size; i++) {                                                          \
                    real sum = i < rest ? (real)(added(tail[i], x[i])) : x[i];                                    \
                    if (i < p->step)                                                                              \
                        y[i] = sum;                                                                               \
                    else                                                                                          \
                        tail[i - p->step] = sum;                                                                  \
                }                                                                                                 \
            }                                                                                                     \
        }                                                                                                         \
    }
#define SATURATED(a, b) clamp((a) + (b), INT16_MIN, INT16_MAX)
#define PLAIN(a, b) ((a) + (b))
OVERLAP_ADD(hil_overlap_add_s16, int16_t, SATURATED)
OVERLAP_ADD(hil_overlap_add_f32, float, PLAIN)
