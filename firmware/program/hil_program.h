/* The agent as a task of somebody else's program: a main() of its own, an operating system, an Arduino sketch.
 *
 *     static const struct hil_program program = {.read = ..., .write = ..., .milliseconds = ..., .counter_hz = 64000000};
 *     hil_program_begin(&program);
 *     for (;;) {
 *         hil_agent_poll();
 *         ... all that the program has to do besides
 *     }
 *
 * The program keeps its clocks, pins, interrupts, and the driver of its serial line; the agent takes the processor for an
 * inference, and for answering, each within one call. Nothing is allocated. docs/other-peoples-main.md says how to link
 * it, and what the figures mean. */
#ifndef HIL_PROGRAM_H
#define HIL_PROGRAM_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct hil_program {
    /* The line to the host: bytes both ways, 8 bits, no flow control. Both are called from hil_agent_poll() only.
     *
     * read: moves bytes that have come to `to`, at most `most`, and returns how many; it doesn't wait. It is called with the
     * rest of the same place until that is full, so a driver with DMA may begin a transfer there and return 0 until it is
     * done. The host sends nothing before the first call for a place, and never more than that has room for.
     * write: returns once `from` may change. */
    uint32_t (*read)(void *to, uint32_t most);
    void (*write)(const void *from, uint32_t bytes);

    /* A clock that goes on during an inference, and while `hold` holds; it goes round at 2^32. Without it an inference that
     * lasts until the cycle counter comes round would look short. */
    uint32_t (*milliseconds)(void);

    /* Frequency of the cycle counter DWT CYCCNT, which the agent starts, and nobody else may set or stop. */
    uint32_t counter_hz;

    /* All else may be left out. */

    /* The stack that the calls of hil_agent_poll() run on, all of it, which the agent paints below where it stands. If it
     * isn't told, how much of it an inference needs isn't known. */
    void *stack;
    uint32_t stack_bytes;

    /* How many interrupts and switches to other tasks there were since boot. If it is left out, and they are allowed in
     * inferences, results say that nobody has counted. */
    uint32_t (*interrupts)(void);

    /* Around what is timed: may mask interrupts, or keep other tasks away. */
    void (*hold)(void);
    void (*release)(void);

    /* The pin that tells a power monitor when inferences run. */
    void (*sync_pin)(bool high);

    /* What the harness tells boards apart by, in the form that the kind of board has it; why the chip was reset; and what
     * differs from boot to boot, besides a count of the boots, if RAM doesn't keep that over a reset. */
    uint64_t chip_id;
    uint32_t reset_reason;
    uint32_t nonce;
};

/* What keeps the agent from measuring; the host is told by hil_agent_poll(), and nothing is run. */
#define HIL_COUNTER_STANDS (-1003) /* there is no cycle counter, or it doesn't run */
#define HIL_CLOCK_DIFFERS (-1004)  /* the clock stands still, or 20 ms of it aren't 20 ms of the counter, by 5 % */
#define HIL_CLOCK_HELD (-1005)     /* `hold` masks interrupts, and then the clock stands still */
#define HIL_OTHER_STACK (-1006)    /* the caller doesn't run on the stack that was told, or that isn't aligned to words */

/* Sets up the agent and the model, and tells the host what runs. Called once, where hil_agent_poll() is going to be called
 * from, with interrupts on and the clock running. `program` must stay. */
void hil_program_begin(const struct hil_program *program);

/* Answers what has come from the host, and measures if that is asked; false if nothing has come. It doesn't wait for the
 * host. */
bool hil_agent_poll(void);

#ifdef __cplusplus
}
#endif

#endif
