/* Loops whose instructions can be counted by hand. */
    .syntax unified
    .cpu cortex-m4
    .fpu fpv4-sp-d16
    .thumb
    .text

    .global spin
    .thumb_func
    .type spin, %function
spin:                       @ 3 r0 + 2 instructions
    cbz r0, 2f              @ 1
1:  nop                     @ r0 x
    subs r0, r0, #1         @ r0 x
    bne 1b                  @ r0 x
2:  bx lr                   @ 1
    .size spin, . - spin
