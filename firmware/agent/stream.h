/* Inputs that come as fast as they can: several in a frame, and the next frame while the board infers. What is received
 * and the results wait in RAM that nothing else of the image uses; without any, hosts send WRITE and RUN instead. */
#ifndef HIL_STREAM_H
#define HIL_STREAM_H

#include "frame.h"
#include "hil_limits.h"

#if HIL_STREAMS

/* RAM for DMA that nothing lies in, from the linker script. One that names none leaves these undefined. */
extern uint8_t __spare_bottom[] __attribute__((weak));
extern uint8_t __spare_top[] __attribute__((weak));

/* Divides the spare RAM for inputs and outputs of so many bytes; inputs of none: there is no stream. Called once after boot. */
void stream_init(uint32_t input_bytes, uint32_t output_bytes);

/* The most inputs that a frame may have; 0 if there is no room for two frames. */
uint32_t stream_most(void);

/* Serves a STREAM whose header has come alone: the rest of it is granted. */
void stream_open(const struct header *request);

/* Whether what is awaited is a frame, or the rest of one, and no header. */
bool stream_awaits(void);

/* Awaits a header instead. */
void stream_drop(void);

/* Takes the frame that has come: grants the next one, if there is to be one, and sends the results of the one before. True
 * if it is to be run, by the two that follow. Each is called by main() for itself, because an inference finds the stack
 * as deep as its callers have made it. */
bool stream_accept(void);
void stream_compute(void);
void stream_finish(void);

/* Sends the results of an earlier STREAM again. */
void stream_again(uint16_t seq);

#else /* an agent that knows neither STREAM nor AGAIN */
#define stream_most() 0u
#endif

#endif
