/* The image of counts.S: does nothing by itself. */
#include "testfw.h"

uint32_t scratch[64];

void test_main(void) {
    __asm volatile("cpsid i");
}
