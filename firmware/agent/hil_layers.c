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
    uint32_t outside; /* ticks between layers that have a beginning */
    uint32_t depth;   /* layers that have begun */
    const char **names;
    bool refused;
};

static struct measurement *current; /* mark() has no room for it among its arguments */

/* For engines that name their layers while they run, or don't know them. */
__attribute__((weak)) int hil_model_profile(void (*mark)(uint32_t layer))
{
    (void)mark;
    return hil_model_invoke();
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

void hil_layer_begin(const char *name)
{
    static const char *names[HIL_MAX_LAYERS];
    if (current == NULL || current->depth++ != 0) {
        return;
    }
    current->outside += hil_ticks_less(hal_ticks() - current->resumed, current->cost);
    current->names = names;
    if (current->count < HIL_MAX_LAYERS) {
        names[current->count] = name;
    }
    current->resumed = hal_ticks();
}

void hil_layer_end(void)
{
    if (current != NULL && --current->depth == 0) {
        mark(current->count);
    }
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
    result->total = hil_ticks_less(hal_ticks() - measurement.resumed, overhead) + measurement.outside;
    result->count = measurement.count;
    result->names = measurement.names;
    current = NULL;
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
