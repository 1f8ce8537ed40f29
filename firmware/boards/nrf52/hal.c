/* The nRF52840 and nRF52833: UARTE0, the board's own USB where it has one (usb.c), and a debug probe: it answers where it
 * was spoken to last. DWT cycle counter, sleep by WFI with interrupts masked. board.h names pins and baud rate.
 * Register names are those of the product specifications, whose registers are the same as far as they are used here. */
#include "hil_hal.h"

#include <string.h>

#include "board.h"
#include "cortex_m.h"
#include "dwt.h"
#include "hil_mailbox.h"

#define CLOCK_TASKS_HFCLKSTART REG(0x40000000u)
#define CLOCK_EVENTS_HFCLKSTARTED REG(0x40000100u)
#define POWER_INTENCLR REG(0x40000308u)
#define POWER_RESETREAS REG(0x40000400u)
#define POWER_DCDCEN REG(0x40000578u)
#define FICR_DEVICEID0 REG(0x10000060u)
#define FICR_DEVICEID1 REG(0x10000064u)
#define NVMC_ICACHECNF REG(0x4001E540u)

#define PWM_TASKS_STOP(base) REG((base) + 0x004u)
#define PWM_ENABLE(base) REG((base) + 0x500u)
#define RTC1_TASKS_STOP REG(0x40011004u)
#define GPIOTE_INTENCLR REG(0x40006308u)

#define RNG_TASKS_START REG(0x4000D000u)
#define RNG_TASKS_STOP REG(0x4000D004u)
#define RNG_EVENTS_VALRDY REG(0x4000D100u)
#define RNG_VALUE REG(0x4000D508u)

#define UARTE_TASKS_STARTRX REG(0x40002000u)
#define UARTE_TASKS_STOPRX REG(0x40002004u)
#define UARTE_TASKS_STARTTX REG(0x40002008u)
#define UARTE_TASKS_STOPTX REG(0x4000200Cu)
#define UARTE_EVENTS_ENDRX REG(0x40002110u)
#define UARTE_EVENTS_ENDTX REG(0x40002120u)
#define UARTE_EVENTS_ERROR REG(0x40002124u)
#define UARTE_EVENTS_RXTO REG(0x40002144u)
#define UARTE_EVENTS_RXSTARTED REG(0x4000214Cu)
#define UARTE_EVENTS_TXSTOPPED REG(0x40002158u)
#define UARTE_SHORTS REG(0x40002200u)
#define UARTE_INTENSET REG(0x40002304u)
#define UARTE_INTENCLR REG(0x40002308u)
#define UARTE_ERRORSRC REG(0x40002480u)
#define UARTE_ENABLE REG(0x40002500u)
#define UARTE_PSEL_RTS REG(0x40002508u)
#define UARTE_PSEL_TXD REG(0x4000250Cu)
#define UARTE_PSEL_CTS REG(0x40002510u)
#define UARTE_PSEL_RXD REG(0x40002514u)
#define UARTE_BAUDRATE REG(0x40002524u)
#define UARTE_RXD_PTR REG(0x40002534u)
#define UARTE_RXD_MAXCNT REG(0x40002538u)
#define UARTE_TXD_PTR REG(0x40002544u)
#define UARTE_TXD_MAXCNT REG(0x40002548u)
#define UARTE_CONFIG REG(0x4000256Cu)
#define UARTE_IRQ 2u
#define DOORBELL_IRQ 25u /* SWI5_EGU5, which nothing else uses: the debug probe sets it pending */
#define INT_ENDRX (1u << 4)
#define INT_ENDTX (1u << 8)
#define INT_ERROR (1u << 9)
#define INT_RXTO (1u << 17)
#define DISCONNECTED 0xFFFFFFFFu

/* TIMER4: 16 MHz / 2^9, one tick in 2048 CPU cycles. */
#define TIMER_TASKS_START REG(0x4001B000u)
#define TIMER_TASKS_STOP REG(0x4001B004u)
#define TIMER_TASKS_CLEAR REG(0x4001B00Cu)
#define TIMER_TASKS_CAPTURE0 REG(0x4001B040u)
#define TIMER_MODE REG(0x4001B504u)
#define TIMER_BITMODE REG(0x4001B508u)
#define TIMER_PRESCALER REG(0x4001B510u)
#define TIMER_CC0 REG(0x4001B540u)
#define TIMER_32_BITS 3u

/* Chapter GPIO. A pin is 32 for each port, and its number, as PSEL has it. */
#define GPIO(pin) (0x50000000u + 0x300u * ((pin) / 32u))
#define GPIO_OUTSET(pin) REG(GPIO(pin) + 0x508u)
#define GPIO_OUTCLR(pin) REG(GPIO(pin) + 0x50Cu)
#define GPIO_DIRSET(pin) REG(GPIO(pin) + 0x518u)
#define GPIO_PIN_CNF(pin) REG(GPIO(pin) + 0x700u + 4u * ((pin) % 32u))
#define BIT(pin) (1u << (pin) % 32u)
#define PIN_CNF_INPUT_PULLUP 0xCu /* direction in, buffer connected, pull-up: an open pin reads as an idle line */

/* Boots since power-up; starts at whatever the RAM holds. The linker script says where. */
extern uint32_t __boots;

/* Where the last bytes came from, and where answers go. */
enum line { BY_UART, BY_USB, BY_PROBE };
static enum line spoken;

/* What is wanted of the host, and not here yet. Over the UART the DMA sees to all of it. */
static uint8_t *wanted;
static uint32_t wanted_bytes;

/* While another line is spoken, what the UART receives goes here; when it is full, somebody speaks over the UART. */
#define HEADER_BYTES 16u
__attribute__((section(".dma"), aligned(4))) static uint8_t aside[HEADER_BYTES + HAL_RX_GUARD];

/* The header with which somebody began to speak over another line, until the agent waits for one; else NULL. */
static const uint8_t *held;

/* The last packet over USB was a full one, so the host waits for more, or for an empty one. */
static bool unfinished;

static uint32_t rx_errors;
static uint32_t reset_reason;

/* Writes to peripherals are buffered; reading back makes sure that the event is clear before the next step. */
static void clear(volatile uint32_t *event)
{
    *event = 0;
    (void)*event;
}

/* Sleeps until an event of UARTE, USBD or USB supply is pending, or the doorbell. */
static void sleep_until_event(void)
{
    sleep_until_interrupt();
    if (UARTE_EVENTS_ERROR != 0) {
        ++rx_errors;
        UARTE_ERRORSRC = UARTE_ERRORSRC;
        clear(&UARTE_EVENTS_ERROR);
    }
    NVIC_ICPR(0) = 1u << UARTE_IRQ | 1u << DOORBELL_IRQ;
}

/* Starts a task, and waits for the event that says that it is done. Bounded, because where nothing runs none comes. */
static void finish(volatile uint32_t *task, volatile uint32_t *event)
{
    clear(event);
    *task = 1;
    for (uint32_t i = 0; i < 100000u && *event == 0; ++i) {
    }
    clear(event);
}

static void stop_uart(void)
{
    finish(&UARTE_TASKS_STOPRX, &UARTE_EVENTS_RXTO);
}

/* What a bootloader has left enabled would be pending for ever, masked as it is, and keep WFI from sleeping; what it has
 * left running would go on reading and writing RAM. Arduino's leaves UARTE0 receiving, PWM0 to PWM3, RTC1 and an
 * interrupt of GPIOTE. */
static void silence_bootloader(void)
{
    static const uint32_t pwm[] = {0x4001C000u, 0x40021000u, 0x40022000u, 0x4002D000u};
    SYSTICK_CSR = 0;
    for (uint32_t n = 0; n < sizeof pwm / sizeof *pwm; ++n) {
        PWM_TASKS_STOP(pwm[n]) = 1;
        PWM_ENABLE(pwm[n]) = 0;
    }
    RTC1_TASKS_STOP = 1;
    GPIOTE_INTENCLR = 0xFFFFFFFFu;
    POWER_INTENCLR = 0xFFFFFFFFu;
    UARTE_INTENCLR = 0xFFFFFFFFu;
    UARTE_SHORTS = 0;
    if (UARTE_ENABLE != 0) {
        stop_uart();
        finish(&UARTE_TASKS_STOPTX, &UARTE_EVENTS_TXSTOPPED);
        UARTE_ENABLE = 0;
    }
    silence_interrupts(2);
}

static void start_clocks(void)
{
    clear(&CLOCK_EVENTS_HFCLKSTARTED);
    CLOCK_TASKS_HFCLKSTART = 1;
    /* A crystal starts within 1 ms; a board without one goes on with the RC oscillator. */
    for (uint32_t i = 0; i < 100000u && CLOCK_EVENTS_HFCLKSTARTED == 0; ++i) {
    }
    POWER_DCDCEN = BOARD_HAS_DCDC;
    NVMC_ICACHECNF = 1; /* as Zephyr and the SoftDevice run it; without it flash wait states dominate */
}

static void start_coarse_clock(void)
{
    TIMER_TASKS_STOP = 1;
    TIMER_MODE = 0;
    TIMER_BITMODE = TIMER_32_BITS;
    TIMER_PRESCALER = 9;
    TIMER_TASKS_CLEAR = 1;
    TIMER_TASKS_START = 1;
}

static void start_uart(void)
{
    GPIO_OUTSET(PIN_TX) = BIT(PIN_TX); /* idle level before the UARTE drives the pin */
    GPIO_DIRSET(PIN_TX) = BIT(PIN_TX);
#ifdef PIN_HIGH
    GPIO_OUTSET(PIN_HIGH) = BIT(PIN_HIGH);
    GPIO_DIRSET(PIN_HIGH) = BIT(PIN_HIGH);
#endif
    GPIO_PIN_CNF(PIN_RX) = PIN_CNF_INPUT_PULLUP;
    UARTE_PSEL_TXD = PIN_TX;
    UARTE_PSEL_RXD = PIN_RX;
    UARTE_PSEL_RTS = DISCONNECTED;
    UARTE_PSEL_CTS = DISCONNECTED;
    UARTE_BAUDRATE = BOARD_BAUDRATE;
    UARTE_CONFIG = 0; /* 8N1, no flow control */
    UARTE_ENABLE = 8;
    UARTE_ERRORSRC = UARTE_ERRORSRC; /* written ones clear; of what has come before, nothing is ours */
    clear(&UARTE_EVENTS_ERROR);
    clear(&UARTE_EVENTS_ENDRX);
    clear(&UARTE_EVENTS_ENDTX);
    UARTE_INTENSET = INT_ENDRX | INT_ENDTX | INT_ERROR | INT_RXTO;
    NVIC_ISER(0) = 1u << UARTE_IRQ;
}

void hal_init(void)
{
    reset_reason = POWER_RESETREAS;
    POWER_RESETREAS = reset_reason; /* written ones clear */
    ++__boots;
    silence_bootloader();
    start_clocks();
    GPIO_OUTCLR(PIN_SYNC) = BIT(PIN_SYNC);
    GPIO_DIRSET(PIN_SYNC) = BIT(PIN_SYNC);
    start_cycles();
    start_coarse_clock();
    start_uart();
    hil_mailbox_open(DOORBELL_IRQ, __boots * 0x9E3779B9u);
    NVIC_ISER(0) = 1u << DOORBELL_IRQ;
}

static void arm_uart(void *buffer, uint32_t bytes)
{
    clear(&UARTE_EVENTS_ENDRX);
    clear(&UARTE_EVENTS_RXSTARTED);
    UARTE_RXD_PTR = (uint32_t)buffer;
    UARTE_RXD_MAXCNT = bytes;
    barrier();
    UARTE_TASKS_STARTRX = 1;
    /* Bytes before RXSTARTED could be lost, so nothing may be granted before it. */
    for (uint32_t i = 0; i < 1000u && UARTE_EVENTS_RXSTARTED == 0; ++i) {
    }
}

void hal_rx_arm(void *buffer, uint32_t bytes)
{
    wanted = buffer;
    wanted_bytes = bytes;
    if (held != NULL) {
        memcpy(buffer, held, bytes < HEADER_BYTES ? bytes : HEADER_BYTES);
    } else if (spoken == BY_UART) {
        arm_uart(buffer, bytes);
    } else if (spoken == BY_PROBE) {
        hil_mailbox_offer(buffer, bytes);
    }
}

/* The line that was spoken so far waits for a header from now on, as the others do. */
static void turn_to(enum line line, const uint8_t *header)
{
    if (spoken == BY_UART) {
        stop_uart();
        arm_uart(aside, HEADER_BYTES);
    } else if (spoken == BY_PROBE) {
        hil_mailbox_offer(hil_mailbox.header, HIL_MAILBOX_HEADER);
    }
    spoken = line;
    held = header;
}

/* Waits until USB can send. False if nobody there takes anything, or somebody speaks over another line. */
static bool usb_is_free(void)
{
    for (;;) {
        usb_poll();
        if (!usb_listening() || UARTE_EVENTS_ENDRX != 0 || hil_mailbox_filled()) {
            return false;
        }
        if (!usb_sending()) {
            return true;
        }
        sleep_until_event();
    }
}

static void send_by_usb(const uint8_t *from, uint32_t bytes)
{
    while (bytes != 0 && usb_is_free()) {
        const uint32_t piece = bytes < USB_PACKET ? bytes : USB_PACKET;
        usb_send(from, piece);
        unfinished = piece == USB_PACKET;
        from += piece;
        bytes -= piece;
    }
}

/* Waits until the probe has read it, or somebody speaks over another line. */
static void send_by_probe(const uint8_t *from, uint32_t bytes)
{
    hil_mailbox_post(from, bytes);
    while (!hil_mailbox_taken()) {
        usb_poll();
        if (UARTE_EVENTS_ENDRX != 0 || usb_waiting()) {
            return;
        }
        sleep_until_event();
    }
}

bool hal_rx_wait(void)
{
    if (unfinished && usb_is_free()) {
        usb_send(aside, 0);
    }
    unfinished = false;
    if (held != NULL) {
        held = NULL;
        return true;
    }
    for (;;) {
        usb_poll();
        if (usb_waiting()) {
            if (spoken != BY_USB) {
                turn_to(BY_USB, NULL);
                return false;
            }
            const uint32_t bytes = usb_take(wanted, wanted_bytes);
            wanted += bytes;
            wanted_bytes -= bytes;
            if (wanted_bytes == 0) {
                return true;
            }
        } else if (UARTE_EVENTS_ENDRX != 0) {
            clear(&UARTE_EVENTS_ENDRX);
            barrier(); /* nothing of the buffer may be read before this point */
            if (spoken == BY_UART) {
                return true;
            }
            turn_to(BY_UART, aside);
            return false;
        } else if (hil_mailbox_filled()) {
            if (spoken == BY_PROBE) {
                return true;
            }
            turn_to(BY_PROBE, hil_mailbox.header);
            return false;
        } else {
            sleep_until_event();
        }
    }
}

void hal_idle(void)
{
    usb_poll();
}

/* A host can still ask over USB for the bootloader. Nothing else is seen to any more. */
void hal_crashed(void)
{
    NVIC_ICER(0) = 1u << UARTE_IRQ | 1u << DOORBELL_IRQ;
    usb_poll();
    sleep_until_event();
}

void hal_tx(const void *buffer, uint32_t bytes)
{
    if (spoken == BY_USB) {
        send_by_usb(buffer, bytes);
        return;
    }
    if (spoken == BY_PROBE) {
        send_by_probe(buffer, bytes);
        return;
    }
    clear(&UARTE_EVENTS_ENDTX);
    UARTE_TXD_PTR = (uint32_t)buffer;
    UARTE_TXD_MAXCNT = bytes;
    barrier();
    UARTE_TASKS_STARTTX = 1;
    while (UARTE_EVENTS_ENDTX == 0) {
        sleep_until_event();
    }
    clear(&UARTE_EVENTS_ENDTX);
}

__attribute__((noinline)) uint32_t hal_ticks(void)
{
    return read_cycles();
}

uint32_t hal_coarse_ticks(void)
{
    TIMER_TASKS_CAPTURE0 = 1;
    return TIMER_CC0;
}

uint32_t hal_counter_hz(void)
{
    return 64000000u;
}

uint32_t hal_nonce(void)
{
    uint32_t value = __boots * 0x9E3779B9u; /* odd, so that it alone differs for 2^32 boots */
    RNG_TASKS_START = 1;
    for (uint32_t byte = 0; byte < 4; ++byte) {
        clear(&RNG_EVENTS_VALRDY);
        /* A byte takes about 30 us. Bounded, because the boot count is enough where there is no generator. */
        for (uint32_t i = 0; i < 10000u && RNG_EVENTS_VALRDY == 0; ++i) {
        }
        value ^= RNG_VALUE << (8u * byte);
    }
    RNG_TASKS_STOP = 1;
    return value;
}

uint64_t hal_chip_id(void)
{
    return ((uint64_t)FICR_DEVICEID1 << 32) | FICR_DEVICEID0;
}

uint32_t hal_reset_reason(void)
{
    return reset_reason;
}

uint32_t hal_rx_errors(void)
{
    return rx_errors;
}

void hal_sync_pin(bool high)
{
    if (high) {
        GPIO_OUTSET(PIN_SYNC) = BIT(PIN_SYNC);
    } else {
        GPIO_OUTCLR(PIN_SYNC) = BIT(PIN_SYNC);
    }
}
