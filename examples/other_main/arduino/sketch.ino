// The agent beside what a sketch does: it blinks.
#include "hil_arduino.h"

void setup() {
  pinMode(LED_BUILTIN, OUTPUT);
  hil_arduino_begin(1000000, 0);
}

void loop() {
  hil_agent_poll();
  digitalWrite(LED_BUILTIN, millis() / 500 % 2);
}
