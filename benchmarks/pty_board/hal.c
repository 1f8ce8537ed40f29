/* A board on the host: the UART is a pseudo-terminal, and bytes take the time that they take on a line, of 1 Mbaud
 * unless it is told otherwise.
 *
 * The board's clock is virtual: it advances by the bytes on the line and by what the model is said to cost, and this
 * process sleeps until real time has caught up before the host may see a byte. So the board answers on time even if the
 * process wakes a little late, and what it wakes too late for is counted apart from what the host is late for.
 *
 * HIL_PTY_BAUD sets another rate, HIL_PTY_TURNAROUND_US a time after which the host sees what has passed the line, as
 * it has with a USB adapter.
 *
 * After the boot it prints the port's path. A line on standard input is answered by the counters, as one line of JSON; the
 * process ends at the end of standard input. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "hil_hal.h"
#include "hil_memory.h"
#include "pty_board.h"

#define BAUD 1000000
#define DELIVERY_BYTES 100 /* a USB adapter hands over once in a frame of 1 ms */
#define CLOCK_HZ 64000000u
#define HEADER_BYTES 16u
#define NEVER INT64_MAX

static int pty;
static int64_t byte_ns, turnaround_ns;
static int64_t clock_ns; /* the board's time; CLOCK_MONOTONIC, as all times here */
static uint32_t cycles;

static struct {
    uint8_t *place;
    uint32_t wanted, missing; /* armed bytes, and those not received yet */
    int64_t line_free;        /* when the last byte received has passed the line */
    bool announced;           /* the host has been told that it may send */
    int64_t due, told;        /* when that should have left the board, and when it did */
} rx;

/* What is reported. Of the time in which the host may send and the line is idle, `starved` is what the host took to
 * react, and `late` what this process took to wake up. */
static struct {
    int64_t rx_bytes, tx_bytes, ungranted_bytes, starved_ns, late_ns, longest_ns;
} count;

/* Nothing is painted here, so the agent reports stacks and heaps of no bytes. */
uint32_t __stack_bottom[1], __heap_bottom[1];
extern uint32_t __stack_top[1] __attribute__((alias("__stack_bottom")));
extern uint32_t __heap_top[1] __attribute__((alias("__heap_bottom")));

/* RAM for the frames of a stream. */
uint8_t __spare_bottom[0x8000] __attribute__((aligned(8)));
__asm(".globl __spare_top\n.set __spare_top, __spare_bottom + 0x8000");

/* A note of the form that a linker writes; its id names no image. */
const uint8_t __build_id_note[36] = {4, 0, 0, 0, 20, 0, 0, 0, 3, 0, 0, 0, 'G', 'N', 'U', 0, 'p', 't', 'y'};

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* Books the time up to `now` in which the host might have sent and the line was idle. */
static void book_idle(int64_t now)
{
    if (!rx.announced || rx.missing == 0) {
        return;
    }
    const int64_t due = later(rx.line_free, rx.due);
    const int64_t told = later(due, rx.told);
    if (now > told) {
        count.late_ns += told - due;
        count.starved_ns += now - told;
        count.longest_ns = later(count.longest_ns, now - told);
        rx.due = rx.told = now;
    }
}

static void take_bytes(void)
{
    uint8_t bytes[8192];
    const ssize_t got = read(pty, bytes, sizeof bytes);
    const int64_t now = now_ns();
    if (got < 0) {
        if (errno == EAGAIN || errno == EINTR) {
            return;
        }
        die("reading the pseudo-terminal");
    }
    book_idle(now);
    const uint32_t all = (uint32_t)got;
    const uint32_t room = rx.announced ? rx.missing : 0;
    const uint32_t taken = all < room ? all : room;
    for (uint32_t i = 0; i < taken; ++i) {
        rx.place[rx.wanted - rx.missing + i] = bytes[i];
    }
    rx.missing -= taken;
    rx.line_free = later(rx.line_free, now) + (int64_t)all * byte_ns;
    count.rx_bytes += taken;
    count.ungranted_bytes += all - taken;
}

static void report(void)
{
    char request[64];
    if (read(STDIN_FILENO, request, sizeof request) <= 0) {
        exit(0);
    }
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    const double cpu_s = (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
                         (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) * 1e-6;
    const int64_t now = now_ns();
    book_idle(now);
    printf("{\"now_s\": %.9f, \"rx_bytes\": %lld, \"tx_bytes\": %lld, \"ungranted_bytes\": %lld, "
           "\"starved_s\": %.9f, \"late_s\": %.9f, \"longest_s\": %.9f, \"cpu_s\": %.6f}\n",
           (double)now * 1e-9, (long long)count.rx_bytes, (long long)count.tx_bytes, (long long)count.ungranted_bytes,
           (double)count.starved_ns * 1e-9, (double)count.late_ns * 1e-9, (double)count.longest_ns * 1e-9, cpu_s);
    fflush(stdout);
    count.longest_ns = 0;
}

/* Sleeps until `until`, a byte or a request for the counters comes. */
static void attend(int64_t until)
{
    struct pollfd events[2] = {{.fd = pty, .events = POLLIN}, {.fd = STDIN_FILENO, .events = POLLIN}};
    struct timespec left = {0};
    if (until != NEVER) {
        const int64_t wait = later(until - now_ns(), 0);
        left.tv_sec = wait / 1000000000;
        left.tv_nsec = wait % 1000000000;
    }
    if (ppoll(events, 2, until == NEVER ? NULL : &left, NULL) < 0 && errno != EINTR) {
        die("waiting");
    }
    if (events[0].revents & POLLIN) {
        take_bytes();
    }
    if (events[1].revents & (POLLIN | POLLHUP)) {
        report();
    }
}

static int64_t setting(const char *name, int64_t otherwise)
{
    const char *text = getenv(name);
    return text == NULL ? otherwise : atoll(text);
}

void hal_init(void)
{
    struct termios raw;
    byte_ns = 10 * INT64_C(1000000000) / setting("HIL_PTY_BAUD", BAUD); /* 8N1 */
    turnaround_ns = 1000 * setting("HIL_PTY_TURNAROUND_US", 0);
    pty = posix_openpt(O_RDWR | O_NOCTTY);
    if (pty < 0 || grantpt(pty) != 0 || unlockpt(pty) != 0) {
        die("opening a pseudo-terminal");
    }
    /* Held open, so that the line outlives whoever uses the port. */
    const int port = open(ptsname(pty), O_RDWR | O_NOCTTY);
    if (port < 0 || tcgetattr(port, &raw) != 0) {
        die(ptsname(pty));
    }
    cfmakeraw(&raw);
    if (tcsetattr(port, TCSANOW, &raw) != 0) {
        die(ptsname(pty));
    }
    prctl(PR_SET_TIMERSLACK, 1ul); /* ns; 50 us is the default, five bytes */
    clock_ns = now_ns();
}

void hal_rx_arm(void *buffer, uint32_t bytes)
{
    rx.place = buffer;
    rx.wanted = rx.missing = bytes;
    rx.announced = false;
}

/* Returns when the bytes are here, before they would all have passed the line: what the agent does with them shows to
 * the host only in what it sends, and hal_tx() waits. */
bool hal_rx_wait(void)
{
    static bool told_port;
    if (!told_port) { /* only now: what comes before the first grant is lost, as on any board */
        told_port = true;
        puts(ptsname(pty));
        fflush(stdout);
    }
    while (rx.missing != 0) {
        attend(NEVER);
    }
    clock_ns = later(clock_ns, rx.line_free);
    return true;
}

void hal_tx(const void *buffer, uint32_t bytes)
{
    const uint8_t *p = buffer;
    while (bytes != 0) {
        const uint32_t piece = bytes < DELIVERY_BYTES ? bytes : DELIVERY_BYTES;
        clock_ns += (int64_t)piece * byte_ns;
        while (now_ns() < clock_ns + turnaround_ns) {
            attend(clock_ns + turnaround_ns);
        }
        if (write(pty, p, piece) != (ssize_t)piece) {
            die("writing to the pseudo-terminal");
        }
        count.tx_bytes += piece;
        p += piece;
        bytes -= piece;
    }
    /* A header may be sent after the last piece of a reply, a payload after its CREDIT, the first frame that follows. */
    if (rx.missing == rx.wanted && (!rx.announced || rx.wanted == HEADER_BYTES)) {
        rx.announced = true;
        rx.due = clock_ns + turnaround_ns;
        rx.told = now_ns();
    }
}

void pty_board_compute(uint32_t spent)
{
    cycles += spent;
    clock_ns += (int64_t)spent * 1000000000 / CLOCK_HZ;
}

uint32_t hal_ticks(void)
{
    return cycles;
}

uint32_t hal_coarse_ticks(void)
{
    return cycles / 2048u;
}

uint32_t hal_counter_hz(void)
{
    return CLOCK_HZ;
}

uint32_t hal_nonce(void)
{
    uint32_t nonce = 0;
    if (getrandom(&nonce, sizeof nonce, 0) != sizeof nonce) {
        die("drawing a nonce");
    }
    return nonce;
}

uint64_t hal_chip_id(void)
{
    return (uint64_t)getpid();
}

uint32_t hal_reset_reason(void)
{
    return 0;
}

uint32_t hal_rx_errors(void)
{
    return (uint32_t)count.ungranted_bytes;
}

void hal_idle(void)
{
}

void hal_sync_pin(bool high)
{
    (void)high;
}
