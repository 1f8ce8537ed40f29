/* Register names are those of the nRF52840 product specification, chapter USBD; the descriptors follow USB 2.0 and the
 * class definitions CDC 1.1 and PSTN 1.2.
 *
 * Every DMA is started and awaited: while one runs, the USBD's registers must not be touched. A control request waits
 * until usb_poll() is called again, which hosts allow some seconds for. The USBD is never switched off, because nobody
 * could say what of its DMA is then still under way; a board whose cable is pulled out is reset instead. */
#include "usb.h"

#include <string.h>

#include "cortex_m.h"

#define POWER_EVENTS_USBDETECTED REG(0x4000011Cu)
#define POWER_EVENTS_USBREMOVED REG(0x40000120u)
#define POWER_EVENTS_USBPWRRDY REG(0x40000124u)
#define POWER_INTENSET REG(0x40000304u)
#define POWER_INT_USB (7u << 7)
#define POWER_IRQ 0u
#define CLOCK_HFCLKSTAT REG(0x4000040Cu)
#define CRYSTAL_RUNS (1u << 16 | 1u)
#define POWER_USBREGSTATUS REG(0x40000438u)
#define VBUS_DETECTED 1u
#define OUTPUT_READY 2u
#define POWER_GPREGRET REG(0x4000051Cu)
#define STAY_IN_BOOTLOADER 0xB0u /* what the Arduino bootloader looks for */
#define FICR_DEVICEADDR(n) REG(0x100000A4u + 4u * (n))

#define USBD(offset) REG(0x40027000u + (offset))
#define STARTEPIN(n) USBD(0x004u + 4u * (n))
#define STARTEPOUT(n) USBD(0x028u + 4u * (n))
#define EP0RCVOUT USBD(0x04Cu)
#define EP0STATUS USBD(0x050u)
#define EP0STALL USBD(0x054u)
#define USBRESET USBD(0x100u)
#define ENDEPIN(n) USBD(0x108u + 4u * (n))
#define EP0DATADONE USBD(0x128u)
#define ENDEPOUT(n) USBD(0x130u + 4u * (n))
#define USBEVENT USBD(0x158u)
#define EP0SETUP USBD(0x15Cu)
#define EPDATA USBD(0x160u)
#define SHORTS USBD(0x200u)
#define SHORT_DATA_STATUS (1u << 2)
#define INTENSET USBD(0x304u)
/* USBRESET, EP0DATADONE, USBEVENT, EP0SETUP, EPDATA */
#define INT_WANTED (1u << 0 | 1u << 10 | 1u << 22 | 1u << 23 | 1u << 24)
#define EVENTCAUSE USBD(0x400u)
#define READY (1u << 11)
#define HALTED_EPIN(n) USBD(0x420u + 4u * (n))
#define HALTED_EPOUT(n) USBD(0x444u + 4u * (n))
#define EPDATASTATUS USBD(0x46Cu)
#define SETUP(n) USBD(0x480u + 4u * (n))
#define SIZE_EPOUT(n) USBD(0x4A0u + 4u * (n))
#define ENABLE USBD(0x500u)
#define USBPULLUP USBD(0x504u)
#define DTOGGLE USBD(0x50Cu)
#define DTOGGLE_DATA0 (1u << 8)
#define EPINEN USBD(0x510u)
#define EPOUTEN USBD(0x514u)
#define EPSTALL USBD(0x518u)
#define STALL (1u << 8)
#define EPIN_PTR(n) USBD(0x600u + 0x14u * (n))
#define EPIN_MAXCNT(n) USBD(0x604u + 0x14u * (n))
#define EPOUT_PTR(n) USBD(0x700u + 0x14u * (n))
#define EPOUT_MAXCNT(n) USBD(0x704u + 0x14u * (n))
#define USBD_IRQ 39u

/* Workarounds of anomalies 171, 187 and 211, and 199 (Nordic's errata for the nRF52840). */
#define WORKAROUND_LOCK REG(0x4006EC00u)
#define WORKAROUND_KEY 0x9375u
#define WORKAROUND_171 REG(0x4006EC14u)
#define WORKAROUND_187 REG(0x4006ED14u)
#define WORKAROUND_199 USBD(0xC1Cu)

#define NVIC_ISPR(n) REG(0xE000E200u + 4u * (n))
#define SCB_AIRCR REG(0xE000ED0Cu)
#define RESET_REQUEST 0x05FA0004u

#define BULK 1u   /* endpoint number, both ways */
#define NOTICE 2u /* the interrupt endpoint that the class demands; it never says anything */
#define IN 0x80u
#define TOUCH_BAUD 1200u

#define PACKET __attribute__((section(".dma"), aligned(4))) static uint8_t

PACKET control[USB_PACKET];
PACKET received[USB_PACKET];

static struct {
    bool on, refused;          /* on the bus; or it can't be */
    bool configured, hung_up;  /* by the host; the program there has closed the port */
    bool sending, waiting;     /* a packet to the host isn't fetched yet; one from it isn't taken */
    bool expecting;            /* the data of a control transfer */
    uint32_t got, taken;       /* bytes in received[], and how many of them were taken */
    const uint8_t *answer;     /* the rest of what a control transfer sends */
    uint32_t left;
    bool empty_last, more;     /* an empty packet ends it; something is still to be sent */
    uint8_t coding[7];         /* baud rate, stop bits, parity, data bits */
    bool open;                 /* DTR */
} usb;

static const uint8_t device_descriptor[18] = {
    18, 1, 0x00, 0x02, 0xEF, 2, 1, USB_PACKET,
    0x41, 0x23, 0x5A, 0x80, /* the ids of an application on this board */
    0x00, 0x01, 1, 2, 3, 1,
};

#define CONFIGURATION_BYTES 75u
static const uint8_t configuration_descriptor[CONFIGURATION_BYTES] = {
    9, 2, CONFIGURATION_BYTES, 0, 2, 1, 0, 0x80, 250, /* fed by the bus, up to 500 mA */
    8, 11, 0, 2, 2, 2, 0, 0,                          /* interfaces 0 and 1 are one function */
    9, 4, 0, 0, 1, 2, 2, 0, 0,                        /* communication: abstract control model */
    5, 0x24, 0, 0x10, 0x01,                           /* header, CDC 1.10 */
    5, 0x24, 1, 0, 1,                                 /* no call management */
    4, 0x24, 2, 2,                                    /* line coding and line state */
    5, 0x24, 6, 0, 1,                                 /* union */
    7, 5, IN | NOTICE, 3, 16, 0, 16,
    9, 4, 1, 0, 2, 10, 0, 0, 0,                       /* data */
    7, 5, BULK, 2, USB_PACKET, 0, 0,
    7, 5, IN | BULK, 2, USB_PACKET, 0, 0,
};

static void clear(volatile uint32_t *event)
{
    *event = 0;
    (void)*event;
}

/* Moves a packet between RAM and the USBD. Bounded, because a bus reset in between may keep its end from coming. */
static void move(volatile uint32_t *start, volatile uint32_t *end)
{
    clear(end);
    WORKAROUND_199 = 0x82;
    __asm volatile("dmb" ::: "memory");
    *start = 1;
    for (uint32_t i = 0; i < 10000u && *end == 0; ++i) {
    }
    clear(end);
    WORKAROUND_199 = 0;
    __asm volatile("dmb" ::: "memory");
}

static void work_around(volatile uint32_t *place, uint32_t value)
{
    const bool locked = WORKAROUND_LOCK == 0;
    if (locked) {
        WORKAROUND_LOCK = WORKAROUND_KEY;
    }
    *place = value;
    if (locked) {
        WORKAROUND_LOCK = WORKAROUND_KEY;
    }
}

static bool comes(volatile uint32_t *place, uint32_t bits)
{
    for (uint32_t i = 0; i < 100000u; ++i) {
        if ((*place & bits) != 0) {
            return true;
        }
    }
    return false;
}

static void reset_chip(void)
{
    __asm volatile("dsb" ::: "memory");
    SCB_AIRCR = RESET_REQUEST;
    for (;;) {
    }
}

/* Joins the bus, if there is a cable; without a crystal the USBD would not answer. */
static void start(void)
{
    POWER_INTENSET = POWER_INT_USB;
    NVIC_ISER(0) = 1u << POWER_IRQ;
    if (usb.refused || (POWER_USBREGSTATUS & VBUS_DETECTED) == 0) {
        return;
    }
    usb.refused = true;
    if ((CLOCK_HFCLKSTAT & CRYSTAL_RUNS) != CRYSTAL_RUNS) {
        return;
    }
    EVENTCAUSE = READY;
    work_around(&WORKAROUND_187, 3); /* kept, for anomaly 211 */
    work_around(&WORKAROUND_171, 0xC0);
    ENABLE = 1;
    const bool ready = comes(&EVENTCAUSE, READY);
    EVENTCAUSE = READY;
    clear(&USBEVENT);
    work_around(&WORKAROUND_171, 0);
    if (!ready || !comes(&POWER_USBREGSTATUS, OUTPUT_READY)) {
        return;
    }
    INTENSET = INT_WANTED;
    NVIC_ISER(USBD_IRQ / 32u) = 1u << USBD_IRQ % 32u;
    USBPULLUP = 1;
    usb.on = true;
}

static void see_to_supply(void)
{
    clear(&POWER_EVENTS_USBDETECTED);
    clear(&POWER_EVENTS_USBREMOVED);
    clear(&POWER_EVENTS_USBPWRRDY);
    if (!usb.on) {
        start();
    } else if ((POWER_USBREGSTATUS & VBUS_DETECTED) == 0) {
        reset_chip();
    }
}

/* As the Arduino core does it. First the host has to fetch the answer to its last request, which takes it a moment. */
static void enter_bootloader(void)
{
    for (uint32_t i = 0; i < 100u; ++i) {
        (void)EP0SETUP;
        for (volatile uint32_t j = 0; j < 1000u; ++j) {
        }
    }
    POWER_GPREGRET = STAY_IN_BOOTLOADER;
    reset_chip();
}

/* ---- control transfers */

static void send_rest(void)
{
    const uint32_t piece = usb.left < USB_PACKET ? usb.left : USB_PACKET;
    if (piece != 0) {
        memcpy(control, usb.answer, piece);
    } else {
        usb.empty_last = false;
    }
    usb.answer += piece;
    usb.left -= piece;
    usb.more = usb.left != 0 || usb.empty_last;
    if (!usb.more) {
        SHORTS = SHORT_DATA_STATUS; /* the hardware allows the host to end the transfer */
    }
    EPIN_PTR(0) = (uint32_t)control;
    EPIN_MAXCNT(0) = piece;
    move(&STARTEPIN(0), &ENDEPIN(0));
}

static bool answer(const void *from, uint32_t bytes, uint32_t asked)
{
    usb.answer = from;
    usb.left = bytes < asked ? bytes : asked;
    usb.empty_last = bytes < asked && bytes % USB_PACKET == 0;
    send_rest();
    return true;
}

/* String descriptors are UTF-16; the serial number is the one that Arduino's own firmware reports. */
static bool answer_text(uint32_t index, uint32_t asked)
{
    static uint8_t text[2 + 2 * 16];
    static const char *const names[] = {"tinyml-hil", "Nano 33 BLE"};
    uint32_t used = 2;
    if (index == 0) {
        text[used++] = 0x09; /* English */
        text[used++] = 0x04;
    } else if (index <= 2) {
        for (const char *c = names[index - 1]; *c != '\0'; ++c) {
            text[used++] = (uint8_t)*c;
            text[used++] = 0;
        }
    } else if (index == 3) {
        for (uint32_t digit = 0; digit < 16; ++digit) {
            const uint32_t word = FICR_DEVICEADDR(digit < 8 ? 1u : 0u);
            text[used++] = (uint8_t) "0123456789ABCDEF"[word >> (28u - 4u * (digit % 8u)) & 15u];
            text[used++] = 0;
        }
    } else {
        return false;
    }
    text[0] = (uint8_t)used;
    text[1] = 3;
    return answer(text, used, asked);
}

static bool answer_descriptor(uint32_t kind, uint32_t index, uint32_t asked)
{
    switch (kind) {
    case 1:
        return answer(device_descriptor, sizeof device_descriptor, asked);
    case 2:
        return index == 0 && answer(configuration_descriptor, sizeof configuration_descriptor, asked);
    case 3:
        return answer_text(index, asked);
    default:
        return false;
    }
}

static bool allow_end(void)
{
    EP0STATUS = 1;
    return true;
}

static void configure(bool wanted)
{
    usb.sending = usb.waiting = false;
    usb.got = usb.taken = 0;
    if (wanted && !usb.configured) {
        EPINEN = 1u | 1u << BULK | 1u << NOTICE;
        EPOUTEN = 1u | 1u << BULK;
        SIZE_EPOUT(BULK) = 0; /* once: written again, it would lose a packet that has come meanwhile */
    } else if (!wanted) {
        EPINEN = 1;
        EPOUTEN = 1;
    }
    usb.configured = wanted;
}

static bool halt(uint32_t endpoint, bool wanted)
{
    if ((endpoint & ~IN) != BULK && endpoint != (IN | NOTICE)) {
        return false;
    }
    EPSTALL = endpoint | (wanted ? STALL : 0);
    if (!wanted) {
        DTOGGLE = endpoint;
        DTOGGLE = endpoint | DTOGGLE_DATA0;
    }
    return allow_end();
}

static bool answer_status(uint32_t recipient, uint32_t index, uint32_t asked)
{
    static uint8_t status[2];
    status[0] = 0;
    if (recipient == 2) {
        const uint32_t number = index & 7u;
        status[0] = (uint8_t)((index & IN) != 0 ? HALTED_EPIN(number) : HALTED_EPOUT(number));
    }
    return answer(status, sizeof status, asked);
}

static void set_open(bool open)
{
    uint32_t baud;
    usb.open = open;
    usb.hung_up = !open;
    memcpy(&baud, usb.coding, sizeof baud);
    if (!open && baud == TOUCH_BAUD) {
        enter_bootloader();
    }
}

/* Does what a request wants; false if it is refused. */
static bool serve(uint32_t type, uint32_t request, uint32_t value, uint32_t index, uint32_t length)
{
    static uint8_t number[1];
    switch (type << 8 | request) {
    case 0x0005: /* SET_ADDRESS: wholly the hardware's */
        return true;
    case 0x8006:
        return answer_descriptor(value >> 8, value & 255u, length);
    case 0x0009:
        if (value > 1) {
            return false;
        }
        configure(value == 1);
        return allow_end();
    case 0x8008:
        number[0] = usb.configured;
        return answer(number, 1, length);
    case 0x810A: /* GET_INTERFACE: there is one setting */
        number[0] = 0;
        return answer(number, 1, length);
    case 0x010B:
        return value == 0 && allow_end();
    case 0x8000:
    case 0x8100:
    case 0x8200:
        return answer_status(type & 3u, index, length);
    case 0x0201: /* CLEAR_FEATURE and SET_FEATURE: ENDPOINT_HALT */
    case 0x0203:
        return value == 0 && halt(index & 255u, request == 3);
    case 0xA121:
        return answer(usb.coding, sizeof usb.coding, length);
    case 0x2120: /* SET_LINE_CODING */
        usb.expecting = length == sizeof usb.coding;
        if (usb.expecting) {
            EP0RCVOUT = 1;
        }
        return usb.expecting;
    case 0x2122: { /* SET_CONTROL_LINE_STATE */
        allow_end();
        set_open((value & 1u) != 0);
        return true;
    }
    case 0x2123: /* SEND_BREAK */
        return allow_end();
    default:
        return false;
    }
}

static void take_setup(void)
{
    uint32_t byte[8];
    for (uint32_t i = 0; i < 8; ++i) {
        byte[i] = SETUP(i);
    }
    SHORTS = 0;
    usb.more = usb.expecting = false;
    if (!serve(byte[0], byte[1], byte[3] << 8 | byte[2], byte[5] << 8 | byte[4], byte[7] << 8 | byte[6])) {
        EP0STALL = 1;
    }
}

static void take_control_data(void)
{
    const uint32_t size = SIZE_EPOUT(0);
    usb.expecting = false;
    EPOUT_PTR(0) = (uint32_t)control;
    EPOUT_MAXCNT(0) = size;
    move(&STARTEPOUT(0), &ENDEPOUT(0));
    if (size == sizeof usb.coding) {
        memcpy(usb.coding, control, size);
    }
    EP0STATUS = 1;
}

/* ---- what the others call */

static bool happened(volatile uint32_t *event)
{
    if (*event == 0) {
        return false;
    }
    clear(event);
    return true;
}

void usb_poll(void)
{
    const uint32_t pending = NVIC_ISPR(0);
    static bool asked;
    if (!asked || (pending & 1u << POWER_IRQ) != 0) {
        asked = true;
        see_to_supply();
        NVIC_ICPR(0) = 1u << POWER_IRQ;
    }
    if (!usb.on || (NVIC_ISPR(USBD_IRQ / 32u) & 1u << USBD_IRQ % 32u) == 0) {
        return;
    }
    NVIC_ICPR(USBD_IRQ / 32u) = 1u << USBD_IRQ % 32u; /* it is pending again, if something is left */
    if (happened(&USBRESET)) {
        usb.more = usb.expecting = false;
        usb.open = false;
        configure(false);
    }
    if (happened(&USBEVENT)) {
        EVENTCAUSE = EVENTCAUSE; /* suspended or resumed: the hardware sees to it */
    }
    if (happened(&EPDATA)) {
        const uint32_t done = EPDATASTATUS;
        EPDATASTATUS = done;
        usb.sending = usb.sending && (done & 1u << BULK) == 0;
        usb.waiting = usb.waiting || (done & 1u << (16u + BULK)) != 0;
    }
    const bool moved = happened(&EP0DATADONE);
    if (happened(&EP0SETUP)) { /* whatever came before it is over */
        take_setup();
    } else if (moved && usb.expecting) {
        take_control_data();
    } else if (moved && usb.more) {
        send_rest();
    }
}

bool usb_listening(void)
{
    return usb.configured && !usb.hung_up;
}

bool usb_sending(void)
{
    return usb.sending;
}

void usb_send(const void *from, uint32_t bytes)
{
    usb.sending = true;
    EPIN_PTR(BULK) = (uint32_t)from;
    EPIN_MAXCNT(BULK) = bytes;
    move(&STARTEPIN(BULK), &ENDEPIN(BULK));
}

bool usb_waiting(void)
{
    if (usb.taken == usb.got && usb.waiting) {
        usb.waiting = false;
        usb.taken = 0;
        usb.got = SIZE_EPOUT(BULK);
        EPOUT_PTR(BULK) = (uint32_t)received;
        EPOUT_MAXCNT(BULK) = usb.got;
        move(&STARTEPOUT(BULK), &ENDEPOUT(BULK)); /* from here on the hardware accepts the next packet */
        usb.hung_up = false;
    }
    return usb.taken != usb.got;
}

uint32_t usb_take(uint8_t *to, uint32_t most)
{
    const uint32_t there = usb.got - usb.taken;
    const uint32_t bytes = there < most ? there : most;
    memcpy(to, received + usb.taken, bytes);
    usb.taken += bytes;
    return bytes;
}
