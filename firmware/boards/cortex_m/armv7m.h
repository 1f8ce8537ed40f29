/* What start-up and faults of a Cortex-M4F or M7 differ in from those of other cores. Only startup.c includes it. */
#define CCR_STKALIGN (1u << 9) /* the value after reset */
#define SCB_CCR REG(0xE000ED14u)
#define SCB_SHCSR REG(0xE000ED24u)
#define SCB_CFSR REG(0xE000ED28u)
#define SCB_HFSR REG(0xE000ED2Cu)
#define SCB_MMFAR REG(0xE000ED34u)
#define SCB_BFAR REG(0xE000ED38u)
#define SCB_CPACR REG(0xE000ED88u)
#define CPACR_CP10_CP11_FULL (0xFu << 20)

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

static inline void start_core(void)
{
    SCB_CCR = CCR_STKALIGN;
    SCB_SHCSR = 0;
    MPU_CTRL = 0;
    SCB_CPACR |= CPACR_CP10_CP11_FULL;
    __asm volatile("dsb\nisb\nvmsr fpscr, %0" ::"r"(0) : "memory");
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

static inline void record_cause(void)
{
    hil_fault_record.cfsr = SCB_CFSR;
    hil_fault_record.hfsr = SCB_HFSR;
    hil_fault_record.mmfar = SCB_MMFAR;
    hil_fault_record.bfar = SCB_BFAR;
}
