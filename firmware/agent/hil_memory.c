#include "hil_memory.h"

/* Not inlined, and without locals that need memory: everything below this frame may be overwritten. */
__attribute__((noinline)) void hil_memory_paint(void)
{
    uint32_t *end = __builtin_frame_address(0);
    /* The frame address may lie above saved registers; 8 words are more than this function saves. */
    for (volatile uint32_t *p = __stack_bottom; p < end - 8; ++p) {
        *p = HIL_PAINT;
    }
    for (volatile uint32_t *p = __heap_bottom; p < __heap_top; ++p) {
        *p = HIL_PAINT;
    }
}

uint32_t hil_stack_bytes(void)
{
    return (uint32_t)((const char *)__stack_top - (const char *)__stack_bottom);
}

uint32_t hil_heap_bytes(void)
{
    return (uint32_t)((const char *)__heap_top - (const char *)__heap_bottom);
}

uint32_t hil_stack_used(void)
{
    const uint32_t *p = __stack_bottom;
    while (p < __stack_top && *p == HIL_PAINT) {
        ++p;
    }
    return (uint32_t)((const char *)__stack_top - (const char *)p);
}

uint32_t hil_heap_used(void)
{
    const uint32_t *p = __heap_top;
    while (p > __heap_bottom && p[-1] == HIL_PAINT) {
        --p;
    }
    return (uint32_t)((const char *)p - (const char *)__heap_bottom);
}
