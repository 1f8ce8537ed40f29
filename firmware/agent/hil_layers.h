/* One inference measured layer by layer. For engines: the two functions at the end. */
#ifndef HIL_LAYERS_H
#define HIL_LAYERS_H

#include "hil_limits.h"

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define HIL_TOO_MANY_LAYERS (-1001) /* the engine named a layer beyond the limit */

struct hil_layers {
    uint32_t count; /* one more than the largest layer that was marked */
    uint32_t total; /* ticks of the inference without the marks: those of all layers, and of what lies outside of them */
    const char *const *names; /* of the layers, if the engine names them; else NULL */
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

/* For an interpreter, which learns at run time what its layers are: around each operator of an inference, in
 * hil_model_invoke() itself. They are numbered in the order in which they begin; what begins inside of another belongs to
 * that one. `name` must stay readable after the inference. Where no profile is being taken a call returns at once, but
 * is a call all the same, and counts. An engine that can turn them off calls them in a hil_model_profile() of its own
 * only, which then needs no `mark`. */
void hil_layer_begin(const char *name);
void hil_layer_end(void);

#ifdef __cplusplus
}
#endif

#endif
