/* Vector table, start-up and fault handler of the test images. */
#include "testfw.h"

extern uint32_t data_load[], data_start[], data_end[], bss_start[], bss_end[], stack_top[];
void reset_handler(void);
void fault_entry(void);
void unused_handler(void);

struct fault_record fault_record;

__attribute__((noreturn, used)) void record_fault(const uint32_t *frame, uint32_t exc_return) {
    fault_record.magic = FAULT_MAGIC;
    fault_record.exception = ICSR & 0x1ff;
    fault_record.exc_return = exc_return;
    fault_record.pc = frame[6];
    fault_record.r0 = frame[0];
    fault_record.psr = frame[7];
    fault_record.cfsr = CFSR;
    fault_record.hfsr = HFSR;
    fault_record.bfar = BFAR;
    for (;;) {
        __asm volatile("wfi");
    }
}

__attribute__((naked)) void fault_entry(void) {
    __asm volatile("tst lr, #4\n"
                   "ite eq\n"
                   "mrseq r0, msp\n"
                   "mrsne r0, psp\n"
                   "mov r1, lr\n"
                   "b record_fault\n");
}

void unused_handler(void) {
    for (;;) {
    }
}
__attribute__((weak, alias("unused_handler"))) void svc_handler(void);
__attribute__((weak, alias("unused_handler"))) void pendsv_handler(void);
__attribute__((weak, alias("unused_handler"))) void systick_handler(void);
__attribute__((weak, alias("unused_handler"))) void uarte_handler(void);
__attribute__((weak, alias("unused_handler"))) void timer0_handler(void);

__attribute__((section(".vectors"), used)) const void *const vectors[16 + 48] = {
    stack_top,
    reset_handler,
    [2] = unused_handler,
    [3] = fault_entry,
    [4] = fault_entry,
    [5] = fault_entry,
    [6] = fault_entry,
    [11] = svc_handler,
    [14] = pendsv_handler,
    [15] = systick_handler,
    [16 + 2] = uarte_handler,
    [16 + 8] = timer0_handler,
};

__attribute__((noreturn)) void reset_handler(void) {
    VTOR = (uint32_t)vectors;
    for (uint32_t *to = data_start, *from = data_load; to < data_end;) {
        *to++ = *from++;
    }
    for (uint32_t *to = bss_start; to < bss_end;) {
        *to++ = 0;
    }
    test_main();
    for (;;) {
        __asm volatile("wfi");
    }
}
