/* What the RP2040's boot ROM copies from the first 256 bytes of flash to RAM and runs, if the last word is the CRC of the
 * others (RP2040 datasheet, chapter Bootrom): it maps the flash into memory and starts the image behind it.
 *
 * The flash is read by command 03h, a bit at a time, at 125 MHz / 4: every flash chip has that command and needs no
 * settings of its own for it. Reading four bits at a time would be some four times as fast, but sets a bit in
 * the flash chip that differs from maker to maker. Registers: datasheet, chapter SSI. */
__asm(".section .boot2, \"ax\", %progbits\n"
      ".syntax unified\n"
      ".thumb\n"
      "    ldr r3, =0x18000000\n" /* XIP_SSI */
      "    movs r0, #0\n"
      "    str r0, [r3, #0x08]\n" /* SSIENR: off while it is set up */
      "    movs r0, #4\n"
      "    str r0, [r3, #0x14]\n" /* BAUDR: 31.25 MHz once the core runs at 125 MHz; 03h is good for 50 MHz */
      "    ldr r0, =0x001F0300\n"
      "    str r0, [r3, #0x00]\n" /* CTRLR0: DFS_32 = 31, TMOD = EEPROM read: send command and address, then receive */
      "    ldr r0, =0x03000218\n"
      "    ldr r1, =0x180000F4\n"
      "    str r0, [r1]\n" /* SPI_CTRLR0: command 03h of 8 bits (INST_L = 2), address of 24 bits (ADDR_L = 6) */
      "    movs r0, #0\n"
      "    str r0, [r3, #0x04]\n" /* CTRLR1: one word at a time */
      "    movs r0, #1\n"
      "    str r0, [r3, #0x08]\n"
      "    ldr r0, =0x10000100\n" /* the image's vector table */
      "    ldr r1, =0xE000ED08\n"
      "    str r0, [r1]\n" /* VTOR */
      "    ldmia r0, {r0, r1}\n"
      "    msr msp, r0\n"
      "    bx r1\n"
      "    .balign 4\n"
      "    .ltorg\n"
      "    .org 252\n"
      "    .word 0x9C139973\n" /* the CRC; the virtual board says what it has to be */
      "    .text\n");
