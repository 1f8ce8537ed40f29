#include "hil_layers.h"

#include <stdbool.h>
#include <string.h>

#include "hil_hal.h"
#include "hil_model.h"

struct measurement {
    uint32_t *ticks;
    uint32_t limit;
    uint32_t count;
    uint32_t cost;    /* ticks between two marks with nothing between them */
    uint32_t resumed; /* counter at the end of the last mark */
    bool refused;
};

static struct measurement *current; /* mark() has no room for it among its arguments */

/* For engines that don't know layers. */
__attribute__((weak)) int hil_model_profile(void (*mark)(uint32_t layer))
{
    (void)mark;
    return HIL_NO_LAYERS;
}

/* The book-keeping lies between two readings, so that it costs no layer anything. */
static void mark(uint32_t layer)
{
    const uint32_t spent = hal_ticks() - current->resumed;
    if (layer < current->limit) {
        current->ticks[layer] += hil_ticks_less(spent, current->cost);
        if (layer >= current->count) {
            current->count = layer + 1;
        }
    } else {
        current->refused = true;
    }
    hal_idle();
    current->resumed = hal_ticks();
}

/* What a mark adds to the layer that it ends. The first calls bring mark() into the cache. */
static uint32_t calibrate(uint32_t *ticks)
{
    void (*volatile engines_view)(uint32_t layer) = mark;
    void (*const call)(uint32_t layer) = engines_view;
    call(0);
    call(1);
    call(2);
    return ticks[2];
}

int hil_layers_measure(uint32_t *ticks, uint32_t limit, uint32_t overhead, struct hil_layers *result)
{
    struct measurement measurement = {.ticks = ticks, .limit = limit};
    current = &measurement;
    memset(ticks, 0, limit * sizeof *ticks);
    measurement.cost = calibrate(ticks);
    measurement.count = 0;
    memset(ticks, 0, limit * sizeof *ticks);
    measurement.resumed = hal_ticks();
    const int status = hil_model_profile(mark);
    result->total = hil_ticks_less(hal_ticks() - measurement.resumed, overhead);
    result->count = measurement.count;
    for (uint32_t i = 0; i < measurement.count; ++i) {
        result->total += ticks[i];
    }
    if (status != 0) {
        return status;
    }
    if (measurement.refused) {
        return HIL_TOO_MANY_LAYERS;
    }
    return measurement.count != 0 ? 0 : HIL_NO_LAYERS;
}
