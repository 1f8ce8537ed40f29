/* Tasks on PSP, handlers on MSP (Armv7-M Architecture Reference Manual, B1.5.6 to B1.5.8). */
#include "task.h"

#define REG(address) (*(volatile uint32_t *)(address))
#define SYST_CSR REG(0xE000E010u)
#define SYST_RVR REG(0xE000E014u)
#define SYST_CVR REG(0xE000E018u)
#define SHPR3 REG(0xE000ED20u) /* priorities of PendSV and SysTick */
#define XPSR_THUMB (1u << 24)
#define EXC_RETURN_THREAD_PSP 0xFFFFFFFDu

void vPortSVCHandler(void);
void xPortPendSVHandler(void);
void xPortSysTickHandler(void);

static void returned(void)
{
    configASSERT(0); /* no task may */
    for (;;) {
    }
}

/* What a handler's end takes: r4 to r11 and EXC_RETURN, then the frame that the processor takes. */
StackType_t *pxPortInitialiseStack(StackType_t *top, TaskFunction_t code, void *argument)
{
    top = (StackType_t *)((uintptr_t)top & ~(uintptr_t)7u);
    *--top = XPSR_THUMB;
    *--top = (StackType_t)code & ~(StackType_t)1u;
    *--top = (StackType_t)returned;
    top -= 5; /* r12, r3 to r0 */
    *top = (StackType_t)argument;
    *--top = EXC_RETURN_THREAD_PSP;
    return top - 8;
}

__attribute__((naked)) void vPortSVCHandler(void)
{
    __asm volatile("ldr r3, =pxCurrentTCB\n"
                   "ldr r1, [r3]\n"
                   "ldr r0, [r1]\n"
                   "ldmia r0!, {r4-r11, lr}\n"
                   "msr psp, r0\n"
                   "isb\n"
                   "bx lr\n");
}

__attribute__((naked)) void xPortPendSVHandler(void)
{
    __asm volatile("mrs r0, psp\n"
                   "tst lr, #0x10\n" /* 0: the task uses the FPU, and the frame has room for its registers */
                   "it eq\n"
                   "vstmdbeq r0!, {s16-s31}\n"
                   "stmdb r0!, {r4-r11, lr}\n"
                   "ldr r3, =pxCurrentTCB\n"
                   "ldr r1, [r3]\n"
                   "str r0, [r1]\n"
                   "push {r3, lr}\n"
                   "bl vTaskSwitchContext\n"
                   "pop {r3, lr}\n"
                   "ldr r1, [r3]\n"
                   "ldr r0, [r1]\n"
                   "ldmia r0!, {r4-r11, lr}\n"
                   "tst lr, #0x10\n"
                   "it eq\n"
                   "vldmiaeq r0!, {s16-s31}\n"
                   "msr psp, r0\n"
                   "isb\n"
                   "bx lr\n");
}

void xPortSysTickHandler(void)
{
    if (xTaskIncrementTick()) {
        ICSR = ICSR_PENDSVSET;
    }
}

void xPortStartScheduler(void)
{
    SHPR3 |= configKERNEL_INTERRUPT_PRIORITY << 16 | configKERNEL_INTERRUPT_PRIORITY << 24;
    SYST_RVR = configCPU_CLOCK_HZ / configTICK_RATE_HZ - 1u;
    SYST_CVR = 0;
    SYST_CSR = 7; /* processor clock, interrupt, on */
    __asm volatile("cpsie i\nsvc 0\n" ::: "memory");
}
