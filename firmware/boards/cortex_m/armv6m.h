/* What start-up and faults of a Cortex-M0+ differ in from those of other cores. Only startup.c includes it. */

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

static inline void start_core(void)
{
    MPU_CTRL = 0;
    __asm volatile("dsb\nisb" ::: "memory");
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

/* No register tells why: every fault is a HardFault. */
static inline void record_cause(void)
{
    hil_fault_record.cfsr = 0;
    hil_fault_record.hfsr = 0;
    hil_fault_record.mmfar = 0;
    hil_fault_record.bfar = 0;
}
