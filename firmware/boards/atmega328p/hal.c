/* The ATmega328P: USART0, whose bytes an interrupt stores, Timer/Counter1 as cycle counter, sleep in idle mode. board.h names
 * clock, baud rate and sync pin. Register names and chapters are those of the data sheet. */
#include "hil_hal.h"

#include <avr/interrupt.h>
#include <avr/io.h>
#include <avr/sleep.h>
#include <avr/wdt.h>
#include <util/delay_basic.h>

#include "board.h"

/* Chapter USART0, "Double Speed Operation (U2Xn)". */
#define DIVISOR (CORE_HZ / 8u / BAUD)
_Static_assert(DIVISOR * BAUD * 8u == CORE_HZ && DIVISOR <= 4096u, "the baud rate is made exactly");

#define ROUND UINT32_C(0x10000) /* cycles in which Timer/Counter1 comes round */
#define COARSE_TICK 2048u       /* cycles of a tick of the slow clock */
#define CALIBRATION 100u        /* turns of four cycles */

/* Set before .data and .bss are. */
__attribute__((section(".noinit"))) static uint32_t noise, boots;
__attribute__((section(".noinit"))) static uint8_t reset_flags;

static uint8_t *volatile place;
static volatile uint16_t missing;
static volatile uint32_t rx_errors;

static volatile uint32_t counted; /* cycles of all rounds, without those of the interrupt that counts them */
static volatile uint32_t rounds;
static uint32_t each = ROUND;

/* Called by the start-up code, with a stack and nothing else. What RAM holds at power-on is noise; over a reset it holds what
 * was there, and one boot more. The hash (FNV-1a) differs wherever one byte does, and hardly ever is the same where more do. */
void hal_look_at_ram(void);

void hal_look_at_ram(void)
{
    /* Chapter "Watchdog Timer": after it ended a program, it goes on, and would not wait for what follows. */
    reset_flags = MCUSR;
    MCUSR = 0;
    wdt_disable();
    ++boots;
    uint32_t hash = UINT32_C(2166136261);
    for (const volatile uint8_t *p = (const volatile uint8_t *)RAMSTART; p <= (const volatile uint8_t *)RAMEND; ++p) {
        hash = (hash ^ *p) * UINT32_C(16777619);
    }
    noise = hash;
}

ISR(USART_RX_vect)
{
    const uint8_t status = UCSR0A; /* of the byte that is read next */
    const uint8_t byte = UDR0;
    if ((status & (_BV(FE0) | _BV(DOR0))) != 0) {
        ++rx_errors;
    }
    if (missing != 0) {
        *place++ = byte;
        --missing;
    }
}

ISR(TIMER1_OVF_vect)
{
    counted += each;
    ++rounds;
}

/* Cycles of a fixed piece of code that begins when the counter is at `from`. */
static __attribute__((noinline)) uint16_t cycles_from(uint16_t from)
{
    TCNT1 = from;
    TIFR1 = _BV(TOV1);
    sei();
    _delay_loop_2(CALIBRATION);
    cli();
    return TCNT1 - from;
}

/* Chapter "16-bit Timer/Counter1 with PWM". The interrupt that counts rounds delays what it interrupts by as many cycles each
 * time: no branch is in it. They are measured once, and left out of the count. */
static void start_counter(void)
{
    TCCR1A = 0;
    TCCR1B = _BV(CS10); /* the CPU's clock */
    TIMSK1 = _BV(TOIE1);
    const uint16_t alone = cycles_from(0);
    each = ROUND - (uint16_t)(cycles_from(UINT16_MAX - 2u * CALIBRATION) - alone);
    counted = rounds = 0;
    sei();
}

static void start_uart(void)
{
    UBRR0 = DIVISOR - 1u;
    UCSR0A = _BV(U2X0);
    UCSR0C = _BV(UCSZ01) | _BV(UCSZ00); /* 8N1 */
    UCSR0B = _BV(RXCIE0) | _BV(RXEN0) | _BV(TXEN0);
}

void hal_init(void)
{
    SYNC_PORT &= (uint8_t)~_BV(SYNC_BIT);
    SYNC_DIRECTION |= _BV(SYNC_BIT);
    set_sleep_mode(SLEEP_MODE_IDLE);
    start_counter();
    start_uart();
}

void hal_rx_arm(void *buffer, uint32_t bytes)
{
    cli();
    place = buffer;
    missing = (uint16_t)bytes;
    sei();
}

/* Counting rounds ends the sleep every 4 ms, and it begins again. SLEEP follows SEI: between them nothing is taken. */
bool hal_rx_wait(void)
{
    for (;;) {
        cli();
        if (missing == 0) {
            sei();
            return true;
        }
        sleep_enable();
        sei();
        sleep_cpu();
        sleep_disable();
    }
}

void hal_idle(void)
{
}

void hal_tx(const void *buffer, uint32_t bytes)
{
    for (const uint8_t *p = buffer; bytes != 0; --bytes) {
        while ((UCSR0A & _BV(UDRE0)) == 0) {
        }
        UDR0 = *p++;
    }
}

/* What comes meanwhile waits: two bytes of it, the rest is lost and counted. The host has no credit to send then. */
void hal_before_inference(void)
{
    UCSR0B = _BV(RXEN0) | _BV(TXEN0);
}

void hal_after_inference(void)
{
    UCSR0B = _BV(RXCIE0) | _BV(RXEN0) | _BV(TXEN0);
}

/* Where the counter is in its round. `pending`: 1 if its interrupt hasn't counted that round yet, without a branch, so that each
 * reading costs the same. */
static inline uint16_t read_round(uint8_t *pending)
{
    const uint16_t now = TCNT1;
    *pending = (uint8_t)(TIFR1 & _BV(TOV1)) & (uint8_t)~(uint8_t)(now >> 15); /* it may have come round after it was read */
    return now;
}
_Static_assert(TOV1 == 0, "the flag is bit 0");

__attribute__((noinline)) uint32_t hal_ticks(void)
{
    uint8_t pending;
    const uint8_t sreg = SREG;
    cli();
    const uint16_t now = read_round(&pending);
    const uint32_t before = counted;
    SREG = sreg;
    return before + now + (uint32_t)pending * ROUND;
}

uint32_t hal_coarse_ticks(void)
{
    uint8_t pending;
    const uint8_t sreg = SREG;
    cli();
    const uint16_t now = read_round(&pending);
    const uint32_t before = rounds;
    SREG = sreg;
    return (before + pending) * (ROUND / COARSE_TICK) + now / COARSE_TICK;
}

uint32_t hal_counter_hz(void)
{
    return CORE_HZ;
}

uint32_t hal_nonce(void)
{
    return noise;
}

/* The chip has no number of its own. */
uint64_t hal_chip_id(void)
{
    return 0;
}

/* The reasons as the agent reports them: 1 the reset pin, 2 the watchdog. Arduino's bootloader, which runs first, clears the
 * flags: then it is 0, as at power-on. */
uint32_t hal_reset_reason(void)
{
    if ((reset_flags & _BV(WDRF)) != 0) {
        return 2u;
    }
    return (reset_flags & _BV(EXTRF)) != 0 ? 1u : 0u;
}

uint32_t hal_rx_errors(void)
{
    cli();
    const uint32_t errors = rx_errors;
    sei();
    return errors;
}

void hal_sync_pin(bool high)
{
    if (high) {
        SYNC_PORT |= _BV(SYNC_BIT);
    } else {
        SYNC_PORT &= (uint8_t)~_BV(SYNC_BIT);
    }
}
