/* Answers commands over UARTE0, waiting without interrupts: an 8-byte header {op, 0, u16 n, u32 arg}, then,
 * after a 'C', n bytes of payload. */
#include "testfw.h"

extern void spin(uint32_t rounds);

static uint8_t header[8 + 16], payload[65535 + 16];
static uint8_t reply[32];
volatile uint32_t sink;

static void wait_event(uint32_t offset) {
    while (!REG(UARTE + offset)) {
        __asm volatile("dsb\n wfi" ::: "memory");
        NVIC_ICPR0 = 1u << 2;
    }
    REG(UARTE + offset) = 0;
    (void)REG(UARTE + offset);
    __asm volatile("dmb" ::: "memory");
}

static void arm(void *buffer, uint32_t bytes) {
    REG(UARTE + 0x110) = 0;
    REG(UARTE + 0x14C) = 0;
    (void)REG(UARTE + 0x14C);
    REG(UARTE + 0x534) = (uint32_t)buffer;
    REG(UARTE + 0x538) = bytes;
    __asm volatile("dmb" ::: "memory");
    REG(UARTE + 0x000) = 1;
    while (!REG(UARTE + 0x14C)) {
    }
}

static void send(const void *data, uint32_t bytes) {
    REG(UARTE + 0x120) = 0;
    REG(UARTE + 0x544) = (uint32_t)data;
    REG(UARTE + 0x548) = bytes;
    __asm volatile("dmb" ::: "memory");
    REG(UARTE + 0x008) = 1;
    wait_event(0x120);
}

static void put(uint32_t index, uint32_t value) {
    for (uint32_t byte = 0; byte < 4; byte++) {
        reply[4 * index + byte] = (uint8_t)(value >> 8 * byte);
    }
}

static uint32_t random_word(void) {
    uint32_t value = 0;
    REG(RNG + 0x000) = 1;
    for (int byte = 0; byte < 4; byte++) {
        while (!REG(RNG + 0x100)) {
        }
        value = value << 8 | REG(RNG + 0x508);
        REG(RNG + 0x100) = 0;
    }
    REG(RNG + 0x004) = 1;
    return value;
}

__attribute__((noinline)) static uint32_t deep(uint32_t levels) {
    volatile uint32_t frame[16];
    frame[0] = levels;
    if (levels == 0) {
        return 1;
    }
    return deep(levels - 1) + frame[0];
}

static uint32_t read_cycles(void) {
    __asm volatile("isb" ::: "memory");
    uint32_t now = CYCCNT;
    __asm volatile("isb" ::: "memory");
    return now;
}

__attribute__((noinline)) static void fault(uint32_t kind) {
    switch (kind) {
    case 0: /* read where there is nothing */
        sink = REG(0x30000004);
        break;
    case 1: /* write where there is nothing */
        REG(0x30000008) = 1;
        break;
    case 2: /* FP without CPACR */
        CPACR = 0;
        __asm volatile("dsb\n isb\n vmov.f32 s0, #1.0" ::: "s0");
        break;
    case 3:
        __asm volatile("udf #0");
        break;
    case 4: /* jump to nowhere */
        ((void (*)(void))0x30000001)();
        break;
    case 5: /* leave Thumb state */
        ((void (*)(void))0x20000000)();
        break;
    case 6:
        __asm volatile("bkpt #1");
        break;
    case 7: /* the stack is gone: HardFault can't be taken */
        __asm volatile("msr msp, %0\n isb\n udf #0" ::"r"(0x10));
        break;
    case 8: /* a peripheral that nobody modelled */
        sink = REG(0x40027000);
        break;
    case 9: /* DMA beyond RAM */
        REG(UARTE + 0x544) = 0x2003fff0;
        REG(UARTE + 0x548) = 32;
        REG(UARTE + 0x008) = 1;
        break;
    case 10: /* the legacy UART */
        REG(UARTE + 0x500) = 4;
        break;
    case 11: /* flash, without write enable */
        REG(0x000F0000) = 0;
        break;
    case 12: /* SVC with interrupts masked */
        __asm volatile("svc #0");
        break;
    case 13: /* a store that faults in an IT block, with work behind it */
        __asm volatile("movs r0, #0\n mov r1, #0x30000000\n cmp r0, #0\n"
                       "ittt eq\n streq r0, [r1]\n moveq r0, #77\n moveq r1, #78\n" ::: "r0", "r1", "memory");
        break;
    default:
        break;
    }
}

static uint32_t timer_wait(uint32_t microseconds) {
    REG(TIMER0 + 0x00C) = 1;
    REG(TIMER0 + 0x508) = 3; /* 32 bits */
    REG(TIMER0 + 0x510) = 4; /* 1 MHz */
    REG(TIMER0 + 0x540) = microseconds;
    REG(TIMER0 + 0x140) = 0;
    REG(TIMER0 + 0x304) = 1u << 16;
    NVIC_ISER0 = 1u << 8;
    REG(TIMER0 + 0x000) = 1;
    while (!REG(TIMER0 + 0x140)) {
        __asm volatile("dsb\n wfi" ::: "memory");
        NVIC_ICPR0 = 1u << 8 | 1u << 2;
    }
    REG(TIMER0 + 0x044) = 1; /* capture into CC[1] */
    REG(TIMER0 + 0x004) = 1;
    REG(TIMER0 + 0x140) = 0;
    NVIC_ICPR0 = 1u << 8;
    return REG(TIMER0 + 0x544);
}

void test_main(void) {
    __asm volatile("cpsid i");
    CPACR |= 0xFu << 20;
    DEMCR |= 1u << 24;
    CYCCNT = 0;
    DWT_CTRL |= 1;
    uint32_t reason = REG(0x40000400);
    REG(0x40000400) = 0xffffffff;
    uint32_t nonce = random_word();
    REG(0x50000808) = 1u << 3; /* P1.03, TX, idles high */
    REG(0x50000818) = 1u << 3;
    REG(UARTE + 0x50C) = 32 + 3;
    REG(UARTE + 0x514) = 32 + 10;
    REG(UARTE + 0x524) = 0x10000000;
    REG(UARTE + 0x500) = 8;
    REG(UARTE + 0x304) = 1u << 4 | 1u << 8 | 1u << 9 | 1u << 17;
    NVIC_ISER0 = 1u << 2;
    arm(header, 8);
    for (;;) {
        wait_event(0x110);
        uint8_t op = header[0];
        uint32_t size = header[2] | (uint32_t)header[3] << 8;
        uint32_t arg = header[4] | (uint32_t)header[5] << 8 | (uint32_t)header[6] << 16 | (uint32_t)header[7] << 24;
        if (size) {
            arm(payload, size);
            reply[0] = 'C';
            send(reply, 1);
            wait_event(0x110);
        }
        uint32_t amount = REG(UARTE + 0x53C);
        if (op != 'O') {
            arm(header, 8); /* before the reply, which grants the next header */
        }
        switch (op) {
        case 'E':
            send(payload, size);
            break;
        case 'F':
            fault(arg);
            put(0, 0);
            send(reply, 4);
            break;
        case 'T': {
            DEMCR |= 1u << 24; /* a debugger that disconnects clears it */
            uint32_t begin = read_cycles();
            spin(arg);
            put(0, read_cycles() - begin);
            send(reply, 4);
            break;
        }
        case 'I':
            put(0, reason);
            put(1, nonce);
            put(2, REG(0x10000060));
            put(3, REG(0x10000064));
            put(4, amount);
            put(5, REG(UARTE + 0x480));
            send(reply, 24);
            break;
        case 'L':
            for (;;) {
                __asm volatile("nop");
            }
        case 'B': /* the payload buffer again and again */
            for (uint32_t round = 0; round < arg; round++) {
                send(payload, 4096);
            }
            break;
        case 'S':
            put(0, deep(arg));
            send(reply, 4);
            break;
        case 'W':
            put(0, timer_wait(arg));
            send(reply, 4);
            break;
        case 'R':
            AIRCR = 0x05FA0004;
            for (;;) {
            }
        case 'O': /* stop reception in mid-payload: STOPRX, RXTO, FLUSHRX */
            arm(payload, 100);
            reply[0] = 'C';
            send(reply, 1);
            while (payload[0] != 0x55) {
                __asm volatile("" ::: "memory");
                (void)REG(UARTE + 0x144);
            }
            REG(UARTE + 0x004) = 1;
            wait_event(0x144);
            put(0, REG(UARTE + 0x53C));
            put(1, REG(UARTE + 0x110));
            arm(header, 8);
            send(reply, 8);
            break;
        default:
            break;
        }
    }
}
