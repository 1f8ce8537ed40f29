/* One inference measured layer by layer. */
#ifndef HIL_LAYERS_H
#define HIL_LAYERS_H

#include <stdint.h>

#define HIL_TOO_MANY_LAYERS (-1001) /* the engine named a layer beyond the limit */

struct hil_layers {
    uint32_t count; /* one more than the largest layer that was marked */
    uint32_t total; /* ticks of the inference without the marks: those of all layers, and of what follows the last mark */
};

/* What is left of a measurement without what measuring costs; 0, which no inference takes, if it costs more. */
static inline uint32_t hil_ticks_less(uint32_t spent, uint32_t cost)
{
    return spent > cost ? spent - cost : 0;
}

/* Runs hil_model_profile() and adds up the ticks of each layer.
 *
 * ticks: where they go, `limit` words; more layers are refused, not written.
 * overhead: ticks of an empty measurement.
 * Returns 0, HIL_NO_LAYERS, HIL_TOO_MANY_LAYERS, or what the engine returned. */
int hil_layers_measure(uint32_t *ticks, uint32_t limit, uint32_t overhead, struct hil_layers *result);

#endif
