/* A board and a model for the agent on the host: bytes come from stdin, answers go to stdout, and the counter counts what
 * the test says; HIL_CARD may hold a model card. Each output tells how many inferences there were, so that an old one can't pass for a new one. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent.h"
#include "hil_hal.h"
#include "hil_memory.h"
#include "hil_model.h"
#include "model_config.h"

int agent_main(void);

static uint8_t *place;
static size_t expected;
static uint32_t counter = 0xFFFFFC00u; /* comes round soon */
static uint32_t reading = 5;           /* ticks of one reading, until the first inference */
static uint32_t reading_later = 5;
static uint32_t work = 1000; /* ticks of an inference */
static uint32_t polled; /* the agent is a task of this program: something has come at every so many looks only; 0: it owns main() */
static uint32_t setup_fails, card_bytes = 20, id_bytes = 20;

/* Three inputs and two outputs; a state that each inference changes, if there is one. */
enum { FIRST = 200, SECOND = 60, THIRD = HIL_INPUT_BYTES - FIRST - SECOND };
static uint8_t *input;
static uint32_t sum, count[1];
static uint32_t stateful, state, resets_fail;
static struct hil_tensor more_inputs[3] = {{NULL, SECOND}, {NULL, THIRD}};
static const struct hil_tensor more_outputs[2] = {{count, sizeof count}};
static char *card;

uint8_t __build_id_note[16 + 1024];

/* The linker script's names for the ends of the regions: 16 bytes of stack, and no heap. */
uint32_t host_regions[5];
__asm(".globl __stack_bottom, __stack_top, __heap_bottom, __heap_top\n"
      ".set __stack_bottom, host_regions\n"
      ".set __stack_top, host_regions + 16\n"
      ".set __heap_bottom, host_regions + 16\n"
      ".set __heap_top, host_regions + 16");

/* Room for two frames of five inputs. */
uint8_t __spare_bottom[3500] __attribute__((aligned(8)));
__asm(".globl __spare_top\n"
      ".set __spare_top, __spare_bottom + 3500");

uint32_t hil_stack_bytes(void) { return 16; }
uint32_t hil_heap_bytes(void) { return 0; }
uint32_t hil_stack_used(void) { return 4; }
uint32_t hil_heap_used(void) { return 0; }
void hal_init(void) {}
uint32_t hal_counter_hz(void) { return 64000000; }
uint32_t hal_coarse_ticks(void) { return 0; }
uint32_t hal_nonce(void) { return 0x5EED; }
uint64_t hal_chip_id(void) { return 42; }
uint32_t hal_reset_reason(void) { return 0; }
uint32_t hal_rx_errors(void) { return 0; }
void hal_idle(void) {}
void hal_sync_pin(bool high) { (void)high; }

uint32_t hal_ticks(void)
{
    counter += reading;
    return counter;
}

void hal_rx_arm(void *buffer, uint32_t bytes)
{
    place = buffer;
    expected = bytes;
}

static bool told_ready;

bool hal_rx_ready(void)
{
    static uint32_t looks;
    told_ready = polled == 0 || ++looks % polled == 0;
    return told_ready;
}

bool hal_rx_wait(void)
{
    if (!told_ready) {
        abort(); /* it would wait for the host */
    }
    told_ready = false;
    fflush(stdout); /* the test may wait for it */
    if (fread(place, 1, expected, stdin) != expected) {
        exit(0); /* the test has said all */
    }
    return true;
}

void hal_tx(const void *buffer, uint32_t bytes) { fwrite(buffer, 1, bytes, stdout); }

int hil_model_setup(struct hil_model *model)
{
    if (setup_fails) {
        model->input_bytes = HIL_INPUT_BYTES; /* said, but the tensor was never made */
        return -1;
    }
    model->card = card;
    model->card_bytes = card_bytes;
    model->input = input;
    model->input_bytes = FIRST;
    model->more_inputs = more_inputs;
    model->output = &sum;
    model->output_bytes = sizeof sum;
    model->more_outputs = more_outputs;
    state = 12345; /* the agent resets it */
    return 0;
}

int hil_model_reset(void)
{
    static uint32_t resets;
    memset(input, 0xCC, FIRST); /* as an engine may that clears all of its memory */
    state = 0;
    return resets++ != 0 && resets_fail ? -1 : 0;
}

static void take(uint8_t *tensor, uint32_t bytes)
{
    for (uint32_t i = 0; i < bytes; ++i) {
        sum = sum * 31u + tensor[i];
    }
    memset(tensor, 0xAA, bytes); /* as an engine may that reuses its memory */
}

static void compute(void)
{
    sum = stateful ? state : 0;
    take(input, FIRST);
    take(more_inputs[0].data, SECOND);
    take(more_inputs[1].data, THIRD);
    state = sum;
    ++count[0];
    reading = reading_later;
}

int hil_model_invoke(void)
{
    compute();
    counter += work;
    return 0;
}

int hil_model_profile(void (*mark)(uint32_t layer))
{
    compute();
    counter += work / 4;
    mark(0);
    counter += work / 4;
    mark(1);
    counter += work / 2;
    return 0;
}

int main(int words, char **arguments)
{
    static const struct {
        const char *name;
        uint32_t *value;
    } settings[] = {
        {"setup_fails", &setup_fails}, {"card_bytes", &card_bytes}, {"id_bytes", &id_bytes},
        {"reading", &reading},         {"later", &reading_later},   {"work", &work},
        {"stateful", &stateful},       {"resets_fail", &resets_fail}, {"polled", &polled},
    };
    for (int i = 1; i + 1 < words; i += 2) {
        for (size_t j = 0; j < sizeof settings / sizeof settings[0]; ++j) {
            if (strcmp(arguments[i], settings[j].name) == 0) {
                *settings[j].value = (uint32_t)strtoul(arguments[i + 1], NULL, 0);
            }
        }
    }
    const char *told = getenv("HIL_CARD");
    card_bytes = told == NULL ? card_bytes : (uint32_t)strlen(told);
    card = malloc(card_bytes + 1);
    input = malloc(FIRST); /* as large as it says, so that the sanitizer sees the byte behind it */
    more_inputs[0].data = malloc(SECOND);
    more_inputs[1].data = malloc(THIRD);
    memset(card, 'c', card_bytes);
    if (told != NULL) {
        memcpy(card, told, card_bytes);
    }
    memcpy(__build_id_note + 4, &id_bytes, sizeof id_bytes);
    if (polled == 0) {
        return agent_main();
    }
    hil_agent_init();
    for (uint32_t in_vain = 0;;) {
        in_vain = hil_agent_poll() ? 0 : in_vain + 1;
        if (in_vain >= polled) {
            abort(); /* it says that nothing has come when something has */
        }
    }
}
