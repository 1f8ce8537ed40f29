/* Register names are those of the nRF52840 product specification. */
#include "board.h"

#include <stddef.h>

#define REG(address) (*(volatile uint32_t *)(address))

#define CLOCK_TASKS_HFCLKSTART REG(0x40000000u)
#define CLOCK_EVENTS_HFCLKSTARTED REG(0x40000100u)
#define POWER_RESETREAS REG(0x40000400u)
#define FICR_DEVICEID0 REG(0x10000060u)
#define FICR_DEVICEID1 REG(0x10000064u)
#define NVMC_ICACHECNF REG(0x4001E540u)

#define UARTE_TASKS_STARTRX REG(0x40002000u)
#define UARTE_TASKS_STARTTX REG(0x40002008u)
#define UARTE_EVENTS_ENDRX REG(0x40002110u)
#define UARTE_EVENTS_ENDTX REG(0x40002120u)
#define UARTE_EVENTS_RXSTARTED REG(0x4000214Cu)
#define UARTE_ENABLE REG(0x40002500u)
#define UARTE_PSEL_TXD REG(0x4000250Cu)
#define UARTE_PSEL_RXD REG(0x40002514u)
#define UARTE_BAUDRATE REG(0x40002524u)
#define UARTE_RXD_PTR REG(0x40002534u)
#define UARTE_RXD_MAXCNT REG(0x40002538u)
#define UARTE_TXD_PTR REG(0x40002544u)
#define UARTE_TXD_MAXCNT REG(0x40002548u)
#define BAUD_1M 0x10000000u

/* TIMER0: 16 MHz / 2^4, a microsecond. */
#define TIMER_TASKS_START REG(0x40008000u)
#define TIMER_TASKS_CAPTURE0 REG(0x40008040u)
#define TIMER_BITMODE REG(0x40008508u)
#define TIMER_PRESCALER REG(0x40008510u)
#define TIMER_CC0 REG(0x40008540u)
#define TIMER_32_BITS 3u

#define PORT1_OUTSET REG(0x50000808u)
#define PORT1_OUTCLR REG(0x5000080Cu)
#define PORT1_DIRSET REG(0x50000818u)
#define PORT1_PIN_CNF(pin) REG(0x50000A00u + 4u * (pin))
#define PIN_TX 3u    /* P1.03, marked TX1 */
#define PIN_RX 10u   /* P1.10, marked RX0 */
#define PIN_SYNC 11u /* P1.11, marked D2 */
#define PORT1(pin) (32u + (pin))
#define PIN_CNF_INPUT_PULLUP 0xCu

static uint32_t reset_reason;
static bool receiving;

/* Writes to peripherals are buffered; reading back makes sure that the event is clear before the next step. */
static void clear(volatile uint32_t *event)
{
    *event = 0;
    (void)*event;
}

static void barrier(void)
{
    __asm volatile("dmb" ::: "memory");
}

void board_init(void)
{
    reset_reason = POWER_RESETREAS;
    POWER_RESETREAS = reset_reason; /* written ones clear */
    CLOCK_TASKS_HFCLKSTART = 1;
    for (uint32_t i = 0; i < 100000u && CLOCK_EVENTS_HFCLKSTARTED == 0; ++i) {
    }
    NVMC_ICACHECNF = 1;
    TIMER_BITMODE = TIMER_32_BITS;
    TIMER_PRESCALER = 4;
    TIMER_TASKS_START = 1;
    PORT1_OUTSET = 1u << PIN_TX;
    PORT1_OUTCLR = 1u << PIN_SYNC;
    PORT1_DIRSET = 1u << PIN_TX | 1u << PIN_SYNC;
    PORT1_PIN_CNF(PIN_RX) = PIN_CNF_INPUT_PULLUP;
    UARTE_PSEL_TXD = PORT1(PIN_TX);
    UARTE_PSEL_RXD = PORT1(PIN_RX);
    UARTE_BAUDRATE = BAUD_1M;
    UARTE_ENABLE = 8;
}

/* The microseconds come round every 71 minutes, the milliseconds don't jump then as long as somebody looks at them. */
uint32_t board_milliseconds(void)
{
    static uint32_t last, rest, milliseconds;
    TIMER_TASKS_CAPTURE0 = 1;
    const uint32_t now = TIMER_CC0;
    rest += now - last;
    last = now;
    milliseconds += rest / 1000u;
    rest %= 1000u;
    return milliseconds;
}

uint32_t board_read(void *to, uint32_t most)
{
    if (!receiving) {
        receiving = true;
        clear(&UARTE_EVENTS_ENDRX);
        clear(&UARTE_EVENTS_RXSTARTED);
        UARTE_RXD_PTR = (uint32_t)to;
        UARTE_RXD_MAXCNT = most;
        barrier();
        UARTE_TASKS_STARTRX = 1;
        /* Bytes before RXSTARTED could be lost. */
        for (uint32_t i = 0; i < 1000u && UARTE_EVENTS_RXSTARTED == 0; ++i) {
        }
        return 0;
    }
    if (UARTE_EVENTS_ENDRX == 0) {
        return 0;
    }
    receiving = false;
    barrier(); /* nothing of the buffer may be read before this point */
    return most;
}

void board_write(const void *from, uint32_t bytes)
{
    clear(&UARTE_EVENTS_ENDTX);
    UARTE_TXD_PTR = (uint32_t)from;
    UARTE_TXD_MAXCNT = bytes;
    barrier();
    UARTE_TASKS_STARTTX = 1;
    while (UARTE_EVENTS_ENDTX == 0) {
    }
}

void board_pin(bool high)
{
    if (high) {
        PORT1_OUTSET = 1u << PIN_SYNC;
    } else {
        PORT1_OUTCLR = 1u << PIN_SYNC;
    }
}

uint64_t board_chip_id(void)
{
    return ((uint64_t)FICR_DEVICEID1 << 32) | FICR_DEVICEID0;
}

uint32_t board_reset_reason(void)
{
    return reset_reason;
}
