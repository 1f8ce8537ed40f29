/* Reset and fault handling of a Cortex-M4F. Interrupts stay masked for ever: the agent polls and sleeps. */
#include <stdint.h>

#include "agent.h"
#include "hil_hal.h"
#include "hil_mailbox.h"
#include "hil_memory.h"

#define SCB_VTOR (*(volatile uint32_t *)0xE000ED08u)
#define SCB_SCR (*(volatile uint32_t *)0xE000ED10u)
#define SCR_SEVONPEND (1u << 4)
#define SCB_CCR (*(volatile uint32_t *)0xE000ED14u)
#define CCR_STKALIGN (1u << 9) /* the value after reset */
#define SCB_SHCSR (*(volatile uint32_t *)0xE000ED24u)
#define SCB_CFSR (*(volatile uint32_t *)0xE000ED28u)
#define SCB_HFSR (*(volatile uint32_t *)0xE000ED2Cu)
#define SCB_MMFAR (*(volatile uint32_t *)0xE000ED34u)
#define SCB_BFAR (*(volatile uint32_t *)0xE000ED38u)
#define SCB_CPACR (*(volatile uint32_t *)0xE000ED88u)
#define CPACR_CP10_CP11_FULL (0xFu << 20)
#define MPU_CTRL (*(volatile uint32_t *)0xE000ED94u)

extern uint32_t __data_start[], __data_end[], __data_load[], __bss_start[], __bss_end[];
extern uint32_t __stack_begin[];
extern const uint32_t vectors[];

int main(void);
void Reset_Handler(void);
void fault_entry(void);
void record_fault(const uint32_t *frame);

/* What a reset would have set is set here as well, because a bootloader jumps to Reset_Handler: with interrupts unmasked,
 * maybe on the other stack, and with BASEPRI, which keeps WFI from waking. */
__attribute__((naked, noreturn)) void Reset_Handler(void)
{
    __asm volatile("cpsid i\n"
                   "movs r0, #0\n"
                   "msr basepri, r0\n"
                   "msr control, r0\n"
                   "isb\n"
                   "ldr r0, =__stack_begin\n"
                   "msr msp, r0\n"
                   "b start\n");
}

__attribute__((noreturn, used)) static void start(void)
{
    SCB_VTOR = (uint32_t)vectors;
    SCB_SCR = 0;
    SCB_CCR = CCR_STKALIGN;
    SCB_SHCSR = 0;
    MPU_CTRL = 0;
    SCB_CPACR |= CPACR_CP10_CP11_FULL;
    __asm volatile("dsb\nisb\nvmsr fpscr, %0" ::"r"(0) : "memory");
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
    __asm volatile("tst lr, #4\n"
                   "ite eq\n"
                   "mrseq r0, msp\n"
                   "mrsne r0, psp\n"
                   "ldr r1, =__stack_begin\n"
                   "msr msp, r1\n"
                   "b record_fault\n");
}

void record_fault(const uint32_t *frame)
{
    hil_fault_record.cfsr = SCB_CFSR;
    hil_fault_record.hfsr = SCB_HFSR;
    hil_fault_record.mmfar = SCB_MMFAR;
    hil_fault_record.bfar = SCB_BFAR;
    hil_fault_record.sp = (uint32_t)frame;
    hil_fault_record.lr = frame[5];
    hil_fault_record.pc = frame[6];
    hil_fault_record.psr = frame[7];
    SCB_SCR = SCR_SEVONPEND; /* no interrupt has the priority that would wake WFI here, but WFE wakes on any of them */
    hil_agent_fault();
    for (;;) {
        hal_crashed();
    }
}

__attribute__((section(".vectors"), used)) const uint32_t vectors[16] = {
    (uint32_t)__stack_begin,
    (uint32_t)Reset_Handler,
    (uint32_t)fault_entry, /* NMI */
    (uint32_t)fault_entry, /* HardFault */
    (uint32_t)fault_entry, /* MemManage */
    (uint32_t)fault_entry, /* BusFault */
    (uint32_t)fault_entry, /* UsageFault */
    [10] = (uint32_t)&hil_mailbox, /* reserved by the architecture: tells the host where it is */
    [11] = (uint32_t)fault_entry, /* SVCall */
    [12] = (uint32_t)fault_entry, /* DebugMonitor */
    [14] = (uint32_t)fault_entry, /* PendSV */
    [15] = (uint32_t)fault_entry, /* SysTick */
};
