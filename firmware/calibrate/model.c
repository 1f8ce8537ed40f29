/* A "model" of which an inference is one of the loops in kernels.S: its input is the loop's number. */
#include "hil_model.h"

#define INPUT_BYTES 4u
#define OUTPUT_BYTES 4u
#define FLASH_BYTES 1536u /* that the loops with strides read */

#define KERNELS(each)                                                                                              \
    each(empty) each(arithmetic) each(multiply) each(divide) each(load) each(load_pipelined)                       \
    each(wide_load_in_chain) each(address_dependency) each(literal) each(store) each(store_indexed)                \
    each(load_after_store) each(load_two) each(load_four) each(store_two) each(store_four) each(if_then)           \
    each(if_then_folded) each(branch_not_taken) each(branch_taken) each(wide_target) each(branch_table)            \
    each(branch_register) each(branch_loaded) each(float) each(float_result_used)                                  \
    each(float_multiply_accumulate) each(float_divide) each(float_load) each(float_load_pipelined)                 \
    each(float_pair) each(wide_after_several) each(flash_4) each(flash_16) each(flash_64)              \
    each(flash_code)

typedef void kernel(uint32_t *ram, const uint8_t *flash);

#define DECLARED(name) kernel calibrate_##name;
KERNELS(DECLARED)

/* hil calibrate reads the names of this table's functions from the image. */
#define LISTED(name) calibrate_##name,
kernel *const calibrate_kernels[] = {KERNELS(LISTED)};
#define COUNT (sizeof calibrate_kernels / sizeof calibrate_kernels[0])

static uint8_t arena[INPUT_BYTES + OUTPUT_BYTES] __attribute__((section(".arena"), aligned(16)));
static uint32_t ram[16];
static const uint8_t flash[FLASH_BYTES] __attribute__((aligned(64))) = {1};

const char hil_card[] __attribute__((section(".hil_card"), used)) =
    "{\"card\":1,\"board\":\"" HIL_BOARD "\",\"model\":\"calibrate\",\"engine\":\"none\","
    "\"input\":{\"shape\":[1,4],\"dtype\":\"int8\",\"scale\":1,\"zero_point\":0},"
    "\"output\":{\"shape\":[1,4],\"dtype\":\"int8\",\"scale\":1,\"zero_point\":0}}";

int hil_model_setup(struct hil_model *model)
{
    model->card = hil_card;
    model->card_bytes = sizeof hil_card - 1;
    model->input = arena;
    model->input_bytes = INPUT_BYTES;
    model->output = arena + INPUT_BYTES;
    model->output_bytes = OUTPUT_BYTES;
    return 0;
}

int hil_model_invoke(void)
{
    uint32_t number = arena[0];
    if (number >= COUNT) {
        return -1;
    }
    calibrate_kernels[number](ram, flash);
    arena[INPUT_BYTES] = (uint8_t)number;
    return 0;
}
