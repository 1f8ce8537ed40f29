/* Linked with engines in C++ only: runs their static constructors before hil_model_setup(), and gives the compiler
 * what it expects of a C++ runtime. There are no exceptions and no type information, and main() never returns, so that
 * destructors of static objects never run. */
#include <stddef.h>
#include <stdint.h>

struct hil_model;

extern "C" {
typedef void (*constructor)(void);
extern constructor __init_array_start[], __init_array_end[]; /* the board's linker script */

/* The linker sends the agent's call of hil_model_setup() here (--wrap). */
int __real_hil_model_setup(struct hil_model *model);
int __wrap_hil_model_setup(struct hil_model *model);

int __wrap_hil_model_setup(struct hil_model *model)
{
    for (constructor *run = __init_array_start; run != __init_array_end; ++run) {
        (*run)();
    }
    return __real_hil_model_setup(model);
}

void *__dso_handle;

/* Asked to run a destructor at exit: there is no exit. */
int __aeabi_atexit(void *object, void (*destructor)(void *), void *handle);
int __aeabi_atexit(void *, void (*)(void *), void *)
{
    return 0;
}

[[noreturn]] void __cxa_pure_virtual(void);
void __cxa_pure_virtual(void)
{
    __builtin_trap(); /* reported as a fault, with its address */
}
}

#ifndef HIL_HEAP_BYTES
/* Virtual destructors refer to these. Without a heap nothing can have been allocated. */
void operator delete(void *) noexcept
{
    __builtin_trap();
}

void operator delete(void *, size_t) noexcept
{
    __builtin_trap();
}
#endif
