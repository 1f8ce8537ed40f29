/* Linked when `hil build --heap BYTES` asks for it: a heap for engines that call malloc(). Its high-water mark is
 * measured like that of the stack, and counts as heap, not as static RAM. */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>

static uint8_t heap[HIL_HEAP_BYTES] __attribute__((section(".heap"), aligned(8)));

void *_sbrk(ptrdiff_t bytes);

/* newlib's malloc() asks here for memory. */
void *_sbrk(ptrdiff_t bytes)
{
    static size_t used;
    if (bytes > 0 ? (size_t)bytes > sizeof heap - used : (size_t)-bytes > used) {
        errno = ENOMEM;
        return (void *)-1;
    }
    void *const start = heap + used;
    used += (size_t)bytes;
    return start;
}
