/* Vectors and start-up of an ATmega328P. The chip has no faults: an interrupt that nobody asked for starts anew, which the host
 * sees by the nonce. */
#include "hil_memory.h"

/* Data sheet, chapter "Interrupts": 26 vectors of two words. */
__asm__(".section .vectors,\"ax\",@progbits\n"
        "    jmp start\n"
        "    .irp number, 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25\n"
        "    .weak __vector_\\number\n"
        "    .set __vector_\\number, start\n"
        "    jmp __vector_\\number\n"
        "    .endr\n"
        "    .section .init0,\"ax\",@progbits\n"
        "    .global start\n"
        "start:\n"
        "    cli\n"
        "    clr r1\n" /* which compiled code takes for 0 */
        "    ldi r28, lo8(__stack_top - 1)\n"
        "    ldi r29, hi8(__stack_top - 1)\n"
        "    out 0x3E, r29\n" /* SPH, SPL: chapter "Stack Pointer" */
        "    out 0x3D, r28\n"
        "    .section .init3,\"ax\",@progbits\n"
        "    call hal_look_at_ram\n"
        "    .section .init8,\"ax\",@progbits\n"
        "    call hil_memory_paint\n"
        "    .section .init9,\"ax\",@progbits\n"
        "    jmp main\n"
        "    .text\n");
