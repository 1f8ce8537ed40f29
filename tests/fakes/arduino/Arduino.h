/* What hil_arduino.h and the example's sketch use of an Arduino core, declared only: sketches are compiled with it, not linked. */
#ifndef ARDUINO_H
#define ARDUINO_H

#include <stddef.h>
#include <stdint.h>

#define F_CPU 64000000L
#define LED_BUILTIN 13
#define OUTPUT 1

void pinMode(int pin, int mode);
void digitalWrite(int pin, int value);
unsigned long millis();

struct HardwareSerial {
    void begin(unsigned long baud);
    int available();
    int read();
    size_t write(const uint8_t *bytes, size_t count);
    void flush();
};
extern HardwareSerial Serial1;

#endif
