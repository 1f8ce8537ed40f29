/* Functions for the debugger to run: each ends in BKPT, and says how many instructions that is, BKPT included. */
    .syntax unified
    .cpu cortex-m4
    .fpu fpv4-sp-d16
    .thumb
    .text

    .macro function name
    .global \name
    .thumb_func
    .type \name, %function
    .balign 4
\name:
    .endm

    function count_straight  @ 5
    nop
    movw r1, #0x1234         @ 32 bits
    movt r1, #0x5678         @ 32 bits
    adds r1, r1, #1
    bkpt #0

    function count_loop      @ 2 + 4 r0: r0 = 1000 -> 4002
1:  add.w r1, r1, r2         @ 32 bits
    nop
    subs r0, r0, #1
    bne 1b
    nop
    bkpt #0

    function count_it        @ 2 + 7 r0, whatever the conditions say: r0 = 1000 -> 7002
1:  tst r0, #1               @ 32 bits
    itete eq
    addeq r1, r1, #1
    addne r2, r2, #1
    addeq r1, r1, #1
    addne.w r3, r3, #1       @ 32 bits
    subs r0, r0, #1
    bne 1b
    bkpt #0

    /* A loop that crosses a 4 KB page, with a 32-bit instruction across the border: 1 + 6 r0 */
    .balign 4096
    .space 4096 - 6
    .global count_crossing
    .thumb_func
    .type count_crossing, %function
count_crossing:
1:  nop                      @ at -6
    nop                      @ at -4
    movw r1, #0x1234         @ 32 bits, at -2 to +2
    nop
    subs r0, r0, #1
    bne 1b
    bkpt #0

    /* An IT block across the border: 1 + 6 r0 */
    .balign 4096
    .space 4096 - 6
    .global count_it_crossing
    .thumb_func
    .type count_it_crossing, %function
count_it_crossing:
1:  lsls r2, r0, #31         @ at -6
    itt eq                   @ at -4
    addeq r1, r1, #1         @ at -2
    addeq.w r1, r1, #1       @ at 0
    subs r0, r0, #1
    bne 1b
    bkpt #0

    function count_long      @ 2001: longer than any translated block
    .rept 2000
    adds r1, r1, #1
    .endr
    bkpt #0

    function count_memory    @ 1 + 4 r0; r1 points at RAM
1:  ldr r2, [r1]
    str r2, [r1]
    subs r0, r0, #1
    bne 1b
    bkpt #0

    function run_at          @ 2 + what the code at r1 issues
    nop
    bx r1

    function stack_down      @ writes the words below sp
1:  push {r0}
    subs r0, r0, #1
    bne 1b
    bkpt #0

    function fp_in_it        @ an FP instruction that is skipped, then one that isn't
    movs r0, #1
    cmp r0, #0
    it eq
    vmoveq.f32 s0, #1.0
    nop
    vmov.f32 s1, #1.0
    bkpt #0

    function fault_in_block  @ 3 issued: the load faults
    mov.w r1, #0x30000000
    nop
    ldr r2, [r1]
    nop
    nop
    nop
    bkpt #0

    function mac_loop        @ an int8 dot product as the kernels do it: 1 + 11 r0; r1, r2 point at RAM
1:  ldr.w r3, [r1]
    ldr.w r4, [r2]
    sxtb16 r5, r3
    sxtb16 r3, r3, ror #8
    sxtb16 r6, r4
    sxtb16 r4, r4, ror #8
    smlad r7, r5, r6, r7
    smlad r7, r3, r4, r7
    nop
    subs r0, r0, #1
    bne 1b
    bkpt #0
