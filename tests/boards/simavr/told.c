// Firmware that does what a byte tells it, so that the emulator around it can be held against what must come of it.
#include <avr/interrupt.h>
#include <avr/io.h>
#include <avr/sleep.h>

static volatile uint8_t got, full;

ISR(USART_RX_vect)
{
	got = UDR0;
	full = 1;
}

static void say(uint8_t byte)
{
	while (!(UCSR0A & (1 << UDRE0)))
		;
	UDR0 = byte;
}

// 1,002 cycles: the nops, and the cbi.
static void __attribute__((noinline)) pulse(void)
{
	__asm__ volatile("sbi %0, 2\n .rept 1000\n nop\n .endr\n cbi %0, 2" : : "I"(_SFR_IO_ADDR(PORTD)));
}

// Read nothing for some 100 bytes' time, then all that is there.
static void be_deaf(void)
{
	uint8_t kept[8], count = 0;
	for (volatile uint16_t round = 0; round < 2000; round++)
		;
	for (volatile uint16_t round = 0; round < 500; round++)
		if (UCSR0A & 1 << RXC0 && count < sizeof kept)
			kept[count++] = UDR0;
	for (uint8_t at = 0; at < count; at++)
		say(kept[at]);
}

int main(void)
{
	DDRD |= 1 << 2;
	UCSR0A = 1 << U2X0;
	UCSR0C = 1 << UCSZ01 | 1 << UCSZ00;
	UBRR0 = 3; // 500,000 baud
	UCSR0B = 1 << RXEN0 | 1 << TXEN0 | 1 << RXCIE0;
	sei();
	say('!');
	for (;;) {
		cli();
		while (!full) {
			sleep_enable();
			sei();
			sleep_cpu();
			cli();
		}
		full = 0;
		uint8_t told = got;
		if (told == 's') // with interrupts off
			sleep_cpu();
		if (told == 'd')
			be_deaf();
		sei();
		if (told == 'p')
			pulse();
		if (told == 'w') // the lowest address that is written
			*(volatile uint8_t *)0x456 = told;
		if (told == 'h')
			for (;;)
				;
		if (told == 'c') // to where there is no flash
			((void (*)(void))0x3FFF)();
		say(told);
	}
}
