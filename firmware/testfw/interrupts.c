/* Takes real interrupts: SysTick, TIMER0 and PendSV at different priorities, SVC, FP state across them. */
#include "testfw.h"

volatile uint32_t ticks, timer_hits, pended, supervisor, nested, wrong;
volatile float fp_result;
volatile uint32_t done;

void systick_handler(void) {
    ticks++;
    volatile float x = (float)ticks;
    fp_result = x * 2.0f; /* spoils s0 to s15 unless they were stacked */
}

void timer0_handler(void) {
    REG(TIMER0 + 0x140) = 0;
    (void)REG(TIMER0 + 0x140);
    timer_hits++;
    uint32_t before = ticks;
    for (volatile uint32_t i = 0; i < 3000; i++) {
    }
    nested += ticks - before; /* SysTick is more urgent and comes in between */
    ICSR = 1u << 28;
}

void pendsv_handler(void) { pended++; }
void svc_handler(void) { supervisor++; }

void test_main(void) {
    CPACR |= 0xFu << 20;
    __asm volatile("dsb\n isb");
    REG(0xE000ED20) = 0x20u << 24 | 0xE0u << 16; /* SysTick 1, PendSV 7 */
    *(volatile uint8_t *)(0xE000E400 + 8) = 0x80;
    SYST_RVR = 6400 - 1;
    SYST_CVR = 0;
    REG(TIMER0 + 0x508) = 3;
    REG(TIMER0 + 0x510) = 0;
    REG(TIMER0 + 0x540) = 16000;
    REG(TIMER0 + 0x200) = 1; /* COMPARE0_CLEAR */
    REG(TIMER0 + 0x304) = 1u << 16;
    NVIC_ISER0 = 1u << 8;
    REG(TIMER0 + 0x000) = 1;
    SYST_CSR = 7;
    register float a __asm("s4") = 3.0f;
    for (uint32_t i = 0; i < 200000; i++) {
        __asm volatile("vmul.f32 s5, s4, s4\n vadd.f32 s5, s5, s4" : "+t"(a)::"s5");
        float b;
        __asm volatile("vmov.f32 %0, s5" : "=t"(b));
        if (b != 12.0f) {
            wrong++;
        }
        if (i % 1000 == 0) {
            __asm volatile("svc #1");
        }
        if (i % 50 == 0) {
            __asm volatile("cpsid i\n nop\n nop\n cpsie i");
        }
    }
    SYST_CSR = 0;
    REG(TIMER0 + 0x004) = 1;
    done = 1;
}
