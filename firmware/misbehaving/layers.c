/* Linked into the images that have layers; the others show what the agent does for an engine that has none. */
#include "hil_model.h"
#include "kinds.h"

int hil_model_profile(void (*mark)(uint32_t layer))
{
    struct hil_model model;
    const int status = hil_model_invoke();
    if (status != 0) {
        return status;
    }
    mark(0);
    mark(MISBEHAVE == MANY ? 128 : 2); /* nothing is ever in layer 1 */
    if (MISBEHAVE == WRONG) {
        hil_model_setup(&model);
        *(uint8_t *)model.output ^= 1u;
    }
    return 0;
}
