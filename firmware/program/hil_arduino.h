/* The agent in an Arduino sketch: in setup() hil_arduino_begin(), in loop() hil_agent_poll().
 *
 * Of the core it needs Serial1 with begin(), available(), read(), write() and flush(), millis(), and F_CPU, the frequency that
 * the processor really has; of the compiler GNU ld, with hil_program.ld, and -DHIL_PROGRAM; of the processor the cycle counter
 * of a Cortex-M3 or later. Another line: define HIL_SERIAL before. A frequency that isn't F_CPU: define HIL_COUNTER_HZ. */
#ifndef HIL_ARDUINO_H
#define HIL_ARDUINO_H

#include <Arduino.h>

#include "src/hil_program.h"

#ifndef HIL_SERIAL
#define HIL_SERIAL Serial1
#endif
#ifndef HIL_COUNTER_HZ
#define HIL_COUNTER_HZ F_CPU
#endif

static uint32_t hil_arduino_read(void *to, uint32_t most)
{
    uint8_t *bytes = static_cast<uint8_t *>(to);
    uint32_t count = 0;
    while (count < most && HIL_SERIAL.available() > 0) {
        bytes[count++] = static_cast<uint8_t>(HIL_SERIAL.read());
    }
    return count;
}

static void hil_arduino_write(const void *from, uint32_t bytes)
{
    HIL_SERIAL.write(static_cast<const uint8_t *>(from), bytes);
    HIL_SERIAL.flush();
}

static uint32_t hil_arduino_milliseconds()
{
    return millis();
}

/* The core's timers and serial lines interrupt, and nobody counts that; the stack is the core's. Results say both. `nonce`
 * should differ from boot to boot: a random number, if the core has one. */
static void hil_arduino_begin(unsigned long baud, uint32_t nonce)
{
    static struct hil_program program;
    program.read = hil_arduino_read;
    program.write = hil_arduino_write;
    program.milliseconds = hil_arduino_milliseconds;
    program.counter_hz = HIL_COUNTER_HZ;
    program.nonce = nonce;
    HIL_SERIAL.begin(baud);
    hil_program_begin(&program);
}

#endif
