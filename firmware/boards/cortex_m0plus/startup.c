/* Reset and fault handling of a Cortex-M0+. Interrupts stay masked for ever: the agent polls and sleeps. */
#include <stdint.h>

#include "agent.h"
#include "hil_mailbox.h"
#include "hil_memory.h"

#define SCB_VTOR (*(volatile uint32_t *)0xE000ED08u)
#define SCB_SCR (*(volatile uint32_t *)0xE000ED10u)
#define MPU_CTRL (*(volatile uint32_t *)0xE000ED94u)

extern uint32_t __data_start[], __data_end[], __data_load[], __bss_start[], __bss_end[];
extern uint32_t __stack_begin[];
extern const uint32_t vectors[];

int main(void);
void Reset_Handler(void);
void fault_entry(void);
void record_fault(const uint32_t *frame);

/* What a reset would have set is set here as well, because a bootloader or a debugger may jump to Reset_Handler: with
 * interrupts unmasked, maybe on the other stack. */
__attribute__((naked, noreturn)) void Reset_Handler(void)
{
    __asm volatile("cpsid i\n"
                   "movs r0, #0\n"
                   "msr control, r0\n"
                   "isb\n"
                   "ldr r0, =__stack_begin\n"
                   "msr msp, r0\n"
                   "ldr r0, =start\n"
                   "bx r0\n");
}

__attribute__((noreturn, used)) static void start(void)
{
    SCB_VTOR = (uint32_t)vectors;
    SCB_SCR = 0;
    MPU_CTRL = 0;
    __asm volatile("dsb\nisb" ::: "memory");
    for (uint32_t *to = __data_start, *from = __data_load; to < __data_end;) {
        *to++ = *from++;
    }
    for (uint32_t *p = __bss_start; p < __bss_end;) {
        *p++ = 0;
    }
    hil_memory_paint();
    main();
    for (;;) {
    }
}

/* Every exception comes here. The registers are taken from the frame that the CPU stacked; then a fresh stack is
 * used, because the old one may be the reason. */
__attribute__((naked)) void fault_entry(void)
{
    __asm volatile("movs r0, #4\n"
                   "mov r1, lr\n"
                   "tst r0, r1\n"
                   "bne 1f\n"
                   "mrs r0, msp\n"
                   "b 2f\n"
                   "1: mrs r0, psp\n"
                   "2: ldr r1, =__stack_begin\n"
                   "msr msp, r1\n"
                   "ldr r1, =record_fault\n"
                   "bx r1\n");
}

/* Armv6-M has no registers that tell why: every fault is a HardFault. */
void record_fault(const uint32_t *frame)
{
    hil_fault_record.cfsr = 0;
    hil_fault_record.hfsr = 0;
    hil_fault_record.mmfar = 0;
    hil_fault_record.bfar = 0;
    hil_fault_record.sp = (uint32_t)frame;
    hil_fault_record.lr = frame[5];
    hil_fault_record.pc = frame[6];
    hil_fault_record.psr = frame[7];
    hil_agent_fault();
    for (;;) {
        __asm volatile("wfi");
    }
}

__attribute__((section(".vectors"), used)) const uint32_t vectors[16] = {
    (uint32_t)__stack_begin,
    (uint32_t)Reset_Handler,
    (uint32_t)fault_entry, /* NMI */
    (uint32_t)fault_entry, /* HardFault */
    [10] = (uint32_t)&hil_mailbox, /* reserved by the architecture: tells the host where it is */
    [11] = (uint32_t)fault_entry, /* SVCall */
    [14] = (uint32_t)fault_entry, /* PendSV */
    [15] = (uint32_t)fault_entry, /* SysTick */
};
