/* Reset and fault handling of a Cortex-M. Interrupts stay masked for ever: the agent polls and sleeps. */
#include <stdint.h>

#include "agent.h"
#include "cortex_m.h"
#include "hil_hal.h"
#include "hil_mailbox.h"
#include "hil_memory.h"

#define SCB_VTOR REG(0xE000ED08u)
#define SCB_SCR REG(0xE000ED10u)
#define SCR_SEVONPEND (1u << 4)
#define MPU_CTRL REG(0xE000ED94u)

extern uint32_t __data_start[], __data_end[], __data_load[], __bss_start[], __bss_end[];
extern uint32_t __stack_begin[];
extern const uint32_t vectors[];

int main(void);
void Reset_Handler(void);
void fault_entry(void);
void record_fault(const uint32_t *frame);

#if __ARM_ARCH == 6
#include "armv6m.h"
#else
#include "armv7m.h"
#endif

__attribute__((noreturn, used)) static void start(void)
{
    SCB_VTOR = (uint32_t)vectors;
    SCB_SCR = 0;
    start_core();
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

void record_fault(const uint32_t *frame)
{
    record_cause();
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

/* Those that only Armv7-M has are reserved words of Armv6-M, which never looks there. */
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
