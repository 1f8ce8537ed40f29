// A virtual Arduino Uno: simavr's ATmega328P behind a pseudo-terminal, run as a process of its own.
//
//     uno PIN BOOT    PIN is the sync pin, like D2; BOOT a binary for the boot section, or - for none
//
// It says `ready PATH`, PATH being the pseudo-terminal, and ends when its standard input does. Until then it obeys:
//
//     reset           pull the reset pin; what a bootloader waits for in vain is skipped
//     listen          pull the reset pin, and let time stand still while the bootloader waits for somebody
//     load FILE       write a raw binary to flash from address 0; what has no bootloader is flashed this way
//     watch LOW HIGH  note the lowest address that is written in [LOW, HIGH) from now on
//     status          say in one line what the chip does
//
// and answers each with a line, `ok ...` or `error ...`. simavr runs as fast as it can while the CPU computes; while
// that sleeps, or asks its receiver in vain, this process waits for bytes and uses no CPU either.
//
// Registers and bits: ATmega328P data sheet, chapters 8.4 (MCUSR), 19.10 (USART0).
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include <simavr/avr_extint.h>
#include <simavr/avr_ioport.h>
#include <simavr/avr_uart.h>
#include <simavr/sim_avr.h>

#define CLOCK_HZ 16000000u
#define UCSR0A 0xC0
#define U2X0 (1u << 1)
#define DOR0 (1u << 3)
#define UCSR0B 0xC1
#define RXEN0 (1u << 4)
#define UBRR0L 0xC4
#define UBRR0H 0xC5
#define SRAM 0x100
#define BOOT 0x7E00u // where fuses of an Uno put the boot section
#define RECEIVER 3u  // bytes: two in UDR0, one in the shift register
#define LOOK 2000u   // cycles between two looks at the host while the CPU runs
#define SHORT 1600u  // cycles: a sleep that isn't worth a wait
#define IN_VAIN 16000u

static avr_t *avr;
static avr_uart_t *uart;
static avr_irq_t *input;
static int master, slave;
static uint8_t arriving[4096], leaving[4096];
static size_t arriving_at, arriving_end, leaving_end;
static bool listens; // the bootloader waits for ever; else what it waits for in vain is skipped
static avr_cycle_count_t looked, vain_since, rose, pulse;
static uint64_t lost;
static unsigned resets, low, high, lowest;
static bool watches;
static char said[160];
static avr_io_read_t status_read;
static void *status_param;
static char command[4200];
static size_t command_end;

static int fail(const char *text, const char *about)
{
	printf("error %s%s\n", text, about);
	return 1;
}

// What simavr complains about, for `status`; it would go to standard output otherwise.
static void hear(avr_t *who, const int level, const char *format, va_list arguments)
{
	(void)who;
	if (level > LOG_ERROR)
		return;
	vsnprintf(said, sizeof said, format, arguments);
	for (char *at = said; *at; at++)
		if (*at < ' ' || *at > '~')
			*at = ' ';
}

// Stands in front of simavr's own function, through which every write to SRAM goes.
void avr_core_watch_write(avr_t *who, uint16_t address, uint8_t value)
{
	static void (*next)(avr_t *, uint16_t, uint8_t);
	if (!next)
		*(void **)&next = dlsym(RTLD_NEXT, "avr_core_watch_write");
	watches = true;
	if (address < lowest && address >= low && address < high)
		lowest = address;
	next(who, address, value);
}

// How long a byte of eight bits takes on the line. simavr would let it take eleven, for a parity bit that isn't there.
static avr_cycle_count_t byte_cycles(void)
{
	unsigned divisor = ((avr->data[UBRR0H] & 0xFu) << 8 | avr->data[UBRR0L]) + 1;
	return uart->cycles_per_byte = 10u * divisor * (avr->data[UCSR0A] & U2X0 ? 8u : 16u);
}

static unsigned unread(void)
{
	return (uart->input.write + uart_fifo_fifo_size - uart->input.read) % uart_fifo_fifo_size;
}

// A byte has come over the line. The chip keeps three; simavr would keep 64.
static avr_cycle_count_t arrive(avr_t *who, avr_cycle_count_t when, void *parameter)
{
	(void)when, (void)parameter;
	uint8_t byte = arriving[arriving_at++];
	if (!(who->data[UCSR0B] & RXEN0) || unread() >= RECEIVER) {
		lost++;
		if (who->data[UCSR0B] & RXEN0)
			who->data[UCSR0A] |= DOR0;
	} else {
		avr_raise_irq(input, byte);
	}
	// Not from `when`: a sleep during which the first of them came is over at once.
	return arriving_at < arriving_end ? who->cycle + byte_cycles() : 0;
}

static void leave(avr_irq_t *irq, uint32_t value, void *parameter)
{
	(void)irq, (void)parameter;
	vain_since = avr->cycle;
	byte_cycles();
	if (leaving_end < sizeof leaving)
		leaving[leaving_end++] = (uint8_t)value;
}

static void edge(avr_irq_t *irq, uint32_t value, void *parameter)
{
	(void)irq, (void)parameter;
	if (value)
		rose = avr->cycle;
	else
		pulse = avr->cycle - rose;
}

// Move bytes between host and line, and wait for either the host's or a command; not at all, or for ever if negative.
static void look(long long nanoseconds)
{
	looked = avr->cycle;
	// A reset makes simavr look at INT0 and INT1 in each cycle while they are low, as outputs, too.
	avr_extint_set_strict_lvl_trig(avr, 0, 0);
	avr_extint_set_strict_lvl_trig(avr, 1, 0);
	if (leaving_end) {
		ssize_t done = write(master, leaving, leaving_end);
		if (done > 0)
			memmove(leaving, leaving + done, leaving_end -= (size_t)done);
	}
	if (arriving_at == arriving_end)
		arriving_at = arriving_end = 0;
	bool room = arriving_end < sizeof arriving;
	struct pollfd watched[] = {{STDIN_FILENO, POLLIN, 0}, {room ? master : -1, POLLIN, 0}};
	struct timespec most = {(time_t)(nanoseconds / 1000000000), (long)(nanoseconds % 1000000000)};
	if (ppoll(watched, 2, nanoseconds < 0 ? NULL : &most, NULL) > 0) {
		if (watched[0].revents) {
			ssize_t got = read(STDIN_FILENO, command + command_end, sizeof command - 1 - command_end);
			if (got <= 0)
				exit(0);
			command_end += (size_t)got;
		}
		if (watched[1].revents & POLLIN) {
			ssize_t got = read(master, arriving + arriving_end, sizeof arriving - arriving_end);
			if (got > 0)
				arriving_end += (size_t)got;
		}
	}
	if (arriving_at < arriving_end && !avr_cycle_timer_status(avr, arrive, NULL))
		avr_cycle_timer_register(avr, byte_cycles(), arrive, NULL);
}

// The CPU sleeps, and nothing on the chip happens for so many cycles.
static void doze(avr_t *who, avr_cycle_count_t cycles)
{
	if (!who->cycle_timers.timer)
		look(-1);
	else if (cycles >= SHORT)
		look((long long)(cycles * 1000000000 / CLOCK_HZ));
}

// Firmware that asks again and again whether a byte has come doesn't get ahead of the host's clock.
static uint8_t ask(avr_t *who, avr_io_addr_t address, void *parameter)
{
	(void)parameter;
	uint8_t value = status_read(who, address, status_param);
	bool boots = who->pc >= BOOT;
	if (unread() || arriving_at < arriving_end) {
		vain_since = who->cycle;
	} else if (boots && !listens) {
		who->cycle += IN_VAIN;
	} else if (who->cycle - vain_since >= IN_VAIN && !command_end) { // it may have asked whether it can send
		look(boots ? -1 : (long long)IN_VAIN * 1000000000 / CLOCK_HZ);
		vain_since = boots ? vain_since : who->cycle;
	}
	return value;
}

static void pull_reset(bool patiently)
{
	listens = patiently;
	avr_reset(avr);
	avr->state = cpu_Running;
	avr->run_cycle_limit = LOOK;
	avr_regbit_set(avr, avr->reset_flags.extrf);
	arriving_at = arriving_end = leaving_end = 0;
	vain_since = looked = pulse = 0;
	said[0] = 0;
	resets++;
}

// Fill a section of flash from a file. Returns whether that failed, and has said so.
static bool load(const char *path, uint32_t start, uint32_t end)
{
	FILE *file = fopen(path, "rb");
	if (!file)
		return fail(strerror(errno), "");
	memset(avr->flash + start, 0xFF, end - start);
	bool whole = fread(avr->flash + start, 1, end - start, file) && fgetc(file) == EOF;
	fclose(file);
	return !whole && fail("empty, or too long for its section of flash: ", path);
}

static const char *state(void)
{
	switch (avr->state) {
	case cpu_Sleeping: return "sleeping";
	case cpu_Done: return "asleep-for-ever";
	case cpu_Crashed: return "crashed";
	default: return "running";
	}
}

static void obey(const char *line)
{
	char path[sizeof command];
	if (!strcmp(line, "reset") || !strcmp(line, "listen")) {
		pull_reset(line[0] == 'l');
		if (line[0] == 'l')
			tcflush(slave, TCIFLUSH);
		puts("ok");
	} else if (sscanf(line, "load %4199[^\n]", path) == 1) {
		if (!load(path, 0, BOOT))
			puts("ok");
	} else if (sscanf(line, "watch %u %u", &low, &high) == 2) {
		lowest = high;
		puts("ok");
	} else if (!strcmp(line, "status")) {
		printf("ok state=%s pc=%u cycle=%llu resets=%u lost=%llu pulse=%llu lowest=%d said=%s\n", state(), avr->pc,
		       (unsigned long long)avr->cycle, resets, (unsigned long long)lost, (unsigned long long)pulse,
		       watches ? (int)lowest : -1, said);
	} else {
		fail("no such command: ", line);
	}
}

static int open_terminal(void)
{
	struct termios raw;
	master = posix_openpt(O_RDWR | O_NOCTTY);
	if (master < 0 || grantpt(master) || unlockpt(master))
		return fail("no pseudo-terminal: ", strerror(errno));
	slave = open(ptsname(master), O_RDWR | O_NOCTTY); // without it, reads fail while no host has it open
	if (slave < 0 || tcgetattr(slave, &raw))
		return fail("no pseudo-terminal: ", strerror(errno));
	cfmakeraw(&raw);
	tcsetattr(slave, TCSANOW, &raw);
	fcntl(master, F_SETFL, O_NONBLOCK);
	return 0;
}

static int power_on(const char *pin, const char *bootloader)
{
	avr_global_logger_set(hear);
	avr = avr_make_mcu_by_name("atmega328p");
	if (!avr || avr_init(avr))
		return fail("this simavr has no ATmega328P", "");
	avr->frequency = CLOCK_HZ;
	avr->sleep = doze;
	avr->codeend = avr->flashend;
	if (strcmp(bootloader, "-")) {
		if (load(bootloader, BOOT, avr->flashend + 1))
			return 1;
		avr->reset_pc = BOOT;
	}
	// RAM holds anything at power-on.
	if (getentropy(avr->data + SRAM, 256) || getentropy(avr->data + SRAM + 256, 256))
		return fail("no random numbers: ", strerror(errno));
	for (unsigned at = SRAM + 512; at <= avr->ramend; at++)
		avr->data[at] = (uint8_t)(avr->data[at - 512] + avr->data[at - 511] + at);
	for (avr_io_t *io = avr->io_port; io; io = io->next)
		if (!strcmp(io->kind, "uart"))
			uart = (avr_uart_t *)io;
	uint32_t flags = 0;
	avr_ioctl(avr, AVR_IOCTL_UART_SET_FLAGS('0'), &flags); // neither output of its own nor sleeps
	input = avr_io_getirq(avr, AVR_IOCTL_UART_GETIRQ('0'), UART_IRQ_INPUT);
	avr_irq_t *output = avr_io_getirq(avr, AVR_IOCTL_UART_GETIRQ('0'), UART_IRQ_OUTPUT);
	avr_irq_t *sync = avr_io_getirq(avr, AVR_IOCTL_IOPORT_GETIRQ(pin[0]), pin[0] ? pin[1] - '0' : 0);
	if (!uart || !input || !output || !sync)
		return fail("this simavr lacks USART0, or the pin ", pin);
	avr_irq_register_notify(output, leave, NULL);
	avr_irq_register_notify(sync, edge, NULL);
	status_read = avr->io[AVR_DATA_TO_IO(UCSR0A)].r.c;
	status_param = avr->io[AVR_DATA_TO_IO(UCSR0A)].r.param;
	avr->io[AVR_DATA_TO_IO(UCSR0A)].r.c = ask;
	pull_reset(false);
	return 0;
}

int main(int count, char **words)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (count != 3)
		return fail("usage: uno PIN BOOT", "");
	if (power_on(words[1], words[2]) || open_terminal())
		return 1;
	printf("ready %s\n", ptsname(master));
	for (;;) {
		int now = avr_run(avr);
		if (now == cpu_Done || now == cpu_Crashed)
			look(-1);
		else if (avr->cycle - looked >= LOOK)
			look(0);
		for (char *end; command_end && (end = memchr(command, '\n', command_end));) {
			*end = 0;
			obey(command);
			command_end -= (size_t)(end + 1 - command);
			memmove(command, end + 1, command_end);
		}
	}
}
