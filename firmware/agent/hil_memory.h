/* Stack and heap regions, and how much of them was ever used. The linker script names the regions. */
#ifndef HIL_MEMORY_H
#define HIL_MEMORY_H

#include <stdint.h>

/* What unused stack and heap words hold. Its bytes differ, so that no compiler makes a memset() of the loop that
 * paints the very stack that memset() would stand on. The host reads it from the symbol __paint_pattern. */
#define HIL_PAINT 0x5AFEC0DEu

extern uint32_t __stack_bottom[], __stack_top[], __heap_bottom[], __heap_top[];

/* Paints the heap, and the stack below the caller's frame. Called by the reset handler, before main(). */
void hil_memory_paint(void);

/* Sizes of the regions; 0: there is none, or nobody knows. */
uint32_t hil_stack_bytes(void);
uint32_t hil_heap_bytes(void);

/* Bytes from the lowest word that was ever written to the top of the stack. */
uint32_t hil_stack_used(void);

/* Bytes from the bottom of the heap to the highest word that was ever written. */
uint32_t hil_heap_used(void);

#endif
