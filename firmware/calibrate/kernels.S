/* Loops of one kind of instruction each, which `hil calibrate` holds against the costs that estimates of cycles count.
 *
 * A kernel gets r0: 64 bytes of RAM, r1: flash that it may read. Each loop runs 1000 times; what it takes beyond `calibrate_empty`
 * is its body's. Bodies are 96 bytes where 16-bit instructions allow it, so that the loop fits into the smallest cache, and
 * begin at a word, or two bytes behind one where the name says `across`. */
    .file "kernels.S" @ else the name of a temporary file would be in the image
    .syntax unified
    .cpu cortex-m4
    .fpu fpv4-sp-d16
    .thumb
    .text

    .macro kernel name, across=0
    .balign 16
    .global calibrate_\name
    .thumb_func
    .type calibrate_\name, %function
calibrate_\name:
    push {r4-r11, lr}
    mov r4, r0
    mov r8, r1
    movs r5, #0
    movs r6, #1
    movs r2, #3
    mvn r1, #0
    vmov.f32 s4, #1.0
    vmov.f32 s5, #1.0
    vmov.f32 s0, #1.0
    movw r7, #1000
    .balign 4
    .if \across
    nop
    .endif
1:
    .endm

    .macro finish name
    subs r7, r7, #1
    bne.w 1b
    pop {r4-r11, pc}
    .ltorg
    .size calibrate_\name, . - calibrate_\name
    .endm

    kernel empty
    finish empty

    kernel arithmetic
    .rept 24
    adds r0, r0, r6
    .endr
    finish arithmetic

    kernel multiply
    .rept 24
    mul r0, r1, r2
    .endr
    finish multiply

    kernel divide
    .rept 24
    udiv r0, r1, r2
    .endr
    finish divide

    kernel load
    .rept 24
    ldr r0, [r4]
    adds r3, r3, r6
    .endr
    finish load

    kernel load_pipelined
    .rept 24
    ldr r0, [r4]
    .endr
    finish load_pipelined

    kernel wide_load_in_chain, 1
    .rept 24
    ldr.w r0, [r4]
    .endr
    finish wide_load_in_chain

    kernel address_dependency
    .rept 24
    add.w r3, r4, r5
    ldr.w r0, [r3]
    .endr
    finish address_dependency

    kernel literal
    .rept 12
    ldr.w r0, 2f
    adds r3, r3, r6
    adds r3, r3, r6
    .endr
    finish literal
    .balign 4
2:  .word 0

    kernel store
    .rept 24
    str r0, [r4]
    .endr
    finish store

    kernel store_indexed
    .rept 24
    str r0, [r4, r5]
    .endr
    finish store_indexed

    kernel load_after_store
    .rept 12
    str r0, [r4]
    ldr r0, [r4]
    adds r3, r3, r6
    .endr
    finish load_after_store

    kernel load_two
    .rept 12
    ldm r4, {r0, r3}
    adds r0, r0, r6
    nop
    .endr
    finish load_two

    kernel load_four
    .rept 12
    ldm r4, {r0, r3, r9, r10}
    adds r0, r0, r6
    nop
    .endr
    finish load_four

    kernel store_two
    .rept 12
    stm r4, {r0, r3}
    adds r0, r0, r6
    nop
    .endr
    finish store_two

    kernel store_four
    .rept 12
    stm r4, {r0, r3, r9, r10}
    adds r0, r0, r6
    nop
    .endr
    finish store_four

    kernel if_then
    .rept 12
    add.w r0, r0, r6
    it eq
    moveq r3, r6
    .endr
    finish if_then

    kernel if_then_folded
    .rept 16
    adds r0, r0, r6
    it eq
    moveq r3, r6
    .endr
    finish if_then_folded

    kernel branch_not_taken
    .rept 24
    cbz r6, 2f
    .endr
2:
    finish branch_not_taken

    kernel branch_taken
    .rept 24
    b 2f
    nop
2:
    .endr
    finish branch_taken

    kernel wide_target, 1
    .rept 12
    b 2f
    nop
2:  add.w r0, r0, r6
    .endr
    finish wide_target

    kernel branch_table
    .rept 12
    tbb [pc, r5]
    .byte 1, 0
    nop
    .endr
    finish branch_table


    kernel branch_register
    adr r3, 2f
    adds r3, r3, #1
    b 3f
    .balign 4
2:  subs r0, r0, r6
    bne 4f
    b 5f
3:  movs r0, #24
4:  bx r3
5:
    finish branch_register

    kernel branch_loaded
    adr r3, 2f
    adds r3, r3, #1
    movs r0, #24
    b 3f
    .balign 4
2:  subs r0, r0, r6
    beq 4f
3:  push {r3}
    pop {pc}
    nop
4:
    finish branch_loaded

    kernel float
    .rept 12
    vadd.f32 s0, s4, s5
    vadd.f32 s1, s4, s5
    .endr
    finish float

    kernel float_result_used
    .rept 24
    vadd.f32 s0, s0, s4
    .endr
    finish float_result_used

    kernel float_multiply_accumulate
    .rept 12
    vfma.f32 s0, s4, s5
    vfma.f32 s1, s4, s5
    .endr
    finish float_multiply_accumulate

    kernel float_divide
    .rept 12
    vdiv.f32 s0, s4, s5
    vdiv.f32 s1, s4, s5
    .endr
    finish float_divide

    kernel float_load
    .rept 16
    vldr s0, [r4]
    adds r3, r3, r6
    .endr
    finish float_load

    kernel float_load_pipelined
    .rept 24
    vldr s0, [r4]
    .endr
    finish float_load_pipelined

    kernel float_pair
    .rept 24
    vmov r0, r3, d0
    .endr
    finish float_pair

    kernel wide_after_several, 1
    .rept 6
    udiv r0, r1, r2
    add.w r3, r3, r6
    add.w r9, r9, r6
    add.w r10, r10, r6
    .endr
    finish wide_after_several

    .irp stride, 4, 16, 64
    kernel flash_\stride, 1
    mov r3, r8
    .rept 23
    ldr r0, [r3], #\stride
    .endr
    finish flash_\stride
    .endr

    /* Code that no cache of these chips holds. */
    kernel flash_code
    .rept 4096
    adds r0, r0, r6
    .endr
    finish flash_code
