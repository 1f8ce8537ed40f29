/* Start-up and vector table of the project. */
#include <stdint.h>

#define SCB_VTOR (*(volatile uint32_t *)0xE000ED08u)
#define SCB_CPACR (*(volatile uint32_t *)0xE000ED88u)
#define CPACR_CP10_CP11_FULL (0xFu << 20)

extern uint32_t data_start[], data_end[], data_load[], bss_start[], bss_end[], main_stack_top[];
extern const void *const vectors[];

int main(void);
void Reset_Handler(void);

static void Default_Handler(void)
{
    for (;;) {
    }
}

void SVC_Handler(void) __attribute__((weak, alias("Default_Handler")));
void PendSV_Handler(void) __attribute__((weak, alias("Default_Handler")));
void SysTick_Handler(void) __attribute__((weak, alias("Default_Handler")));

__attribute__((section(".isr_vector"), used)) const void *const vectors[16 + 48] = {
    main_stack_top, Reset_Handler, Default_Handler, Default_Handler, Default_Handler, Default_Handler, Default_Handler,
    [11] = SVC_Handler, [14] = PendSV_Handler, [15] = SysTick_Handler,
};

/* A bootloader jumps here with its own stack. */
__attribute__((naked)) void Reset_Handler(void)
{
    __asm volatile("cpsid i\n"
                   "ldr r0, =main_stack_top\n"
                   "msr msp, r0\n"
                   "b start\n");
}

__attribute__((noreturn, used)) static void start(void)
{
    SCB_VTOR = (uint32_t)vectors;
    SCB_CPACR |= CPACR_CP10_CP11_FULL;
    __asm volatile("dsb\nisb" ::: "memory");
    for (uint32_t *to = data_start, *from = data_load; to < data_end;) {
        *to++ = *from++;
    }
    for (uint32_t *p = bss_start; p < bss_end;) {
        *p++ = 0;
    }
    __asm volatile("cpsie i" ::: "memory");
    main();
    for (;;) {
    }
}
