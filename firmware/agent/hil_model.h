/* What an inference engine provides so that the agent can benchmark it: three functions, the third if it can.
 *
 * The agent owns main(), the link and the clock; the engine owns the tensors. Nothing here may allocate
 * memory dynamically or enable interrupts. */
#ifndef HIL_MODEL_H
#define HIL_MODEL_H

#include <stdint.h>

struct hil_model {
    const char *card;     /* model card, JSON, see docs/link-protocol.md; not NUL-terminated */
    uint32_t card_bytes;
    void *input;          /* where the model reads its input; may be overwritten by the inference */
    uint32_t input_bytes; /* at most HIL_INPUT_BYTES */
    const void *output;   /* where it leaves its output; valid until the input is written again */
    uint32_t output_bytes;
};

/* Called once after boot, before any other: prepares the engine and describes the model. 0 on success;
 * otherwise no inference is ever asked for, and no tensor is touched. */
int hil_model_setup(struct hil_model *model);

/* Runs one inference from model->input to model->output. 0 on success. Everything in here is measured. */
int hil_model_invoke(void);

#define HIL_NO_LAYERS (-1000)

/* The same, and calls `mark` with a layer's number, 0 to 127, each time a piece of that layer is done: the time since
 * the mark before belongs to it. 0 on success, HIL_NO_LAYERS if the engine can't tell; that is what the agent's own
 * definition returns, which is linked where the engine has none. */
int hil_model_profile(void (*mark)(uint32_t layer)) __attribute__((nonnull));

#endif
