/* What an inference engine provides so that the agent can benchmark it: two functions, and more if it can.
 *
 * The agent owns the link and the clock, and main() unless it is a task of another program; the engine owns the tensors. Nothing here may allocate
 * memory dynamically or enable interrupts. */
#ifndef HIL_MODEL_H
#define HIL_MODEL_H

#include "hil_flash.h"

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Where the agent receives an input, HIL_INPUT_BYTES and room behind it that may be read. An engine with one input that
 * never writes to it may name this as `input`, and needs no memory of its own for it. The card then has `pieces`: the
 * parts of the input, each an inference of its own, that come one after the other (docs/link-protocol.md). */
extern uint8_t hil_input[];

struct hil_tensor {
    void *data; /* what is an output is only read */
    uint32_t bytes;
};

/* Tensors stand in the order of the model card. All inputs together have at most HIL_INPUT_BYTES, all outputs at most
 * HIL_OUTPUT_BYTES. What an engine doesn't set is zero: a model of one input and one output has no further ones. */
struct hil_model {
    const HIL_FLASH char *card; /* model card, JSON, see docs/link-protocol.md; not NUL-terminated */
    uint32_t card_bytes;
    void *input;          /* where the model reads its first input; may be overwritten by the inference */
    uint32_t input_bytes;
    const void *output;   /* where it leaves its first output; valid until an input is written again */
    uint32_t output_bytes;
    const struct hil_tensor *more_inputs;  /* the others, and behind them one of 0 bytes; NULL: none */
    const struct hil_tensor *more_outputs; /* likewise */
};

/* Called once after boot, before any other: prepares the engine and describes the model. 0 on success; any other number
 * is what the host reports. Then no inference is ever asked for, no tensor is touched, and `model` needn't be filled. */
int hil_model_setup(struct hil_model *model);

/* Runs one inference from the inputs to the outputs. 0 on success. Everything in here is measured. */
int hil_model_invoke(void);

/* Sets what the model remembers from one inference to the next to what it was before the first one. 0 on success.
 * Called after the setup, and whenever the host asks, outside of what is measured; inputs are written after it. For
 * models with state, whose card says `state_bytes`; the agent's own definition, for all others, does nothing. */
int hil_model_reset(void);

/* How many bytes of what lies in the section .arena the inferences so far have needed, for engines that reserve more
 * than that; asked for after them. 0 if the engine can't tell: that is what the agent's own definition returns. */
uint32_t hil_model_arena_used(void);

#define HIL_NO_LAYERS (-1000)

/* One inference that calls `mark` with a layer's number, from 0 to HIL_MAX_LAYERS - 1, each time a piece of that layer is done: the time since
 * the mark before belongs to it. 0 on success, HIL_NO_LAYERS if the engine can't tell. The agent's own definition, which
 * is linked where the engine has none, is hil_model_invoke(); its layers are those that the engine names while it runs
 * (hil_layers.h). */
int hil_model_profile(void (*mark)(uint32_t layer)) __attribute__((nonnull));

#ifdef __cplusplus
}
#endif

#endif
