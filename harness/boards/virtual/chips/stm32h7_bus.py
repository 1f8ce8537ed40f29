"""The bus of the STM32H7: supply, clocks, and what else differs from other families.

Registers are those of the reference manual RM0433. What isn't modelled answers nothing: an access stops the CPU.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.boards.virtual.chips.bus import Bus
from harness.boards.virtual.chips.device import RESET_PIN, RESET_SOFT, RESET_WATCHDOG, Device
from harness.boards.virtual.chips.stm32h7_dma import Dma
from harness.boards.virtual.chips.stm32h7_flash import ACR, FlashInterface
from harness.boards.virtual.chips.stm32l4_bus import Pins, RandomNumbers, Timer2
from harness.boards.virtual.chips.stm32l4_usart import RECEIVE, SEND, SerialPort, Usart

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.boards.virtual.chips.device import Host
    from harness.boards.virtual.chips.memory import Memory
    from harness.boards.virtual.ports.serial_line import Line
    from harness.config.chip import ChipData

_TIM2, _IWDG2, _USART3, _DMA1, _DMAMUX1 = 0x40000000, 0x40002C00, 0x40004800, 0x40020000, 0x40020800
_RNG, _FLASH, _RCC, _PWR, _DBGMCU = 0x48021800, 0x52002000, 0x58024400, 0x58024800, 0x5C001000
_IWDG1 = 0x58004800
_WINDOW_WATCHDOG = 0x58004C00  # pyOCD's algorithm writes where another chip of the line has a watchdog
_GPIOS = {0x58020000 + 0x400 * port: port for port in range(11)}
_CR, _CFGR, _D1CFGR, _D2CFGR, _PLLCKSELR, _PLLCFGR, _PLL1DIVR = 0x00, 0x10, 0x18, 0x1C, 0x28, 0x2C, 0x30
_D2CCIP2R, _RSR, _AHB1ENR, _AHB2ENR, _AHB4ENR, _APB1LENR = 0x54, 0xD0, 0xD8, 0xDC, 0xE0, 0xE8
_READY_AFTER = ((0, 2), (7, 8), (12, 13), (16, 17), (24, 25))  # bits of CR: that switches a clock on, that it runs
_HSE_BYPASS, _PLL1_ON, _HSI48_READY, _SW_PLL1, _SW_HSE = 5 << 16, 1 << 24, 1 << 13, 3, 2
_HSE_HZ = 8_000_000  # on Nucleo boards, from the ST-LINK
_FLAGS = {RESET_PIN: 1 << 22, RESET_SOFT: 1 << 24, RESET_WATCHDOG: 1 << 26}
_PIN_FLAG, _POWER_FLAGS, _CLEAR_FLAGS = 1 << 22, 7 << 21 | 1 << 19 | 1 << 20, 1 << 16
_VOS1, _VOSRDY = 3, 1 << 13
_PWR_CSR1, _PWR_CR3, _PWR_D3CR = 0x04, 0x0C, 0x18
#: The bit of RCC that gives each block its clock.
_ENABLES = {
    _TIM2: (_APB1LENR, 0),
    _USART3: (_APB1LENR, 18),
    _DMA1: (_AHB1ENR, 0),
    _DMAMUX1: (_AHB1ENR, 0),
    _RNG: (_AHB2ENR, 6),
    **{base: (_AHB4ENR, port) for base, port in _GPIOS.items()},
}
_NAMES = {_TIM2: "TIM2", _USART3: "USART3", _DMA1: "DMA1", _DMAMUX1: "DMAMUX1", _RNG: "the RNG"}
#: Memories that DMA1 reaches and RCC gives a clock: begin, end, name, bit of AHB2ENR.
_SRAMS = (
    (0x30000000, 0x30020000, "SRAM1", 29),
    (0x30020000, 0x30040000, "SRAM2", 30),
    (0x30040000, 0x30048000, "SRAM3", 31),
)
_TCMS = ((0x00000000, 0x00010000, "ITCM"), (0x20000000, 0x20020000, "DTCM"))
_PORT = SerialPort("USART3", _USART3, (_APB1LENR, 18), 7, {SEND: 46, RECEIVE: 45}, fifo_bytes=16)


class Power(Device):
    """PWR: the supply, which can be chosen once, and the voltage that it gives the core."""

    def reset(self) -> None:
        """Return to the lowest voltage; the choice of supply stays until power-off, which isn't told apart."""
        self.registers = {_PWR_CR3: 6, _PWR_D3CR: 1 << 14, _PWR_CSR1: 0x4000}

    @property
    def voltage(self) -> int:
        """VOS of D3CR: 3 is the highest without overdrive."""
        return self.get(_PWR_D3CR) >> 14 & 3

    def read(self, offset: int) -> int:
        """Return a register; a voltage that was asked for is there."""
        return super().read(offset) | (_VOSRDY if offset in (_PWR_D3CR, _PWR_CSR1) else 0)


class Rcc(Device):
    """Clocks, which are ready at once, and why the chip was reset, which a reset doesn't forget."""

    def __init__(self, host: Host, clock_hz: int, voltage: Callable[[], int], flash: Callable[[], int]) -> None:
        """Connect; `voltage` tells VOS, and `flash` FLASH_ACR."""
        self._clock_hz, self._voltage, self._flash = clock_hz, voltage, flash
        self._flags = 0
        super().__init__(host, _RCC)

    def reset(self) -> None:
        """Run from HSI at 64 MHz."""
        self.registers = {_CR: 1, _PLLCKSELR: 0x02020200, _PLLCFGR: 0x01FF0000, _PLL1DIVR: 0x01010280}

    def note_reset(self, reason: int) -> None:
        """Set the flags of a reset: the pin's with each, as the chip drives the pin; power-on's for no reason."""
        self._flags |= _PIN_FLAG | (0 if reason else _POWER_FLAGS)
        self._flags |= sum(flag for bit, flag in _FLAGS.items() if reason & bit and flag != _PIN_FLAG)

    def forget_resets(self) -> None:
        """Clear the flags."""
        self._flags = 0

    def read(self, offset: int) -> int:
        """Return a register; a clock that is on is ready."""
        value = super().read(offset)
        if offset == _CR:
            for on, ready in _READY_AFTER:
                value = value & ~(1 << ready) | (value >> on & 1) << ready
        elif offset == _CFGR:
            value = value & ~0x38 | (value & 7) << 3
        elif offset == _RSR:
            value = self._flags
        return value

    def written(self, offset: int, value: int) -> None:
        """Check that the clock is the one that the board's kind says, and that supply and flash do for it."""
        if offset == _RSR and value & _CLEAR_FLAGS:
            self._flags = 0
        if offset == _CFGR and value & 7 == _SW_PLL1:
            self._check()

    def _check(self) -> None:
        divisors, configuration = self.get(_PLL1DIVR), self.get(_PLLCFGR)
        reference = _HSE_HZ // ((self.get(_PLLCKSELR) >> 4 & 0x3F) or 1)
        vco = reference * ((divisors & 0x1FF) + 1)
        frequency = vco // ((divisors >> 9 & 0x7F) + 1)
        buses = self.get(_D1CFGR) & 0xF7F, self.get(_D2CFGR) & 0x770
        behind_hse = self.get(_PLLCKSELR) & 3 == _SW_HSE and self.get(_CR) & _HSE_BYPASS == _HSE_BYPASS
        if not behind_hse or not self.get(_CR) & _PLL1_ON or not configuration >> 16 & 1 or configuration & 3:
            self.host.limit(
                "the firmware clocks the core from something else than PLL1, whole, behind HSE that the ST-LINK makes: "
                "not modelled"
            )
        elif buses != (0x048, 0x440):
            self.host.limit("the firmware divides the clocks of the buses otherwise than by 2 and 2: not modelled")
        elif frequency != self._clock_hz:
            self.host.limit(
                f"the firmware clocks the core at {frequency} Hz, and this kind of board has {self._clock_hz}"
            )
        elif not 192_000_000 <= vco <= 836_000_000 or configuration >> 2 & 3 != _range(reference):
            self.host.misuse(f"PLL1 is to make {vco} Hz of {reference} Hz, which its ranges don't allow")
        elif self._voltage() != _VOS1:
            self.host.misuse(f"the core's clock is {frequency} Hz at VOS = {self._voltage()}, and needs VOS1")
        elif self._flash() & 0xF < 2 or self._flash() >> 4 & 3 < 2:
            self.host.misuse(
                f"the core's clock is {frequency} Hz with FLASH_ACR = {self._flash():#x}: two wait states, WRHIGHFREQ 2"
            )

    def polled(self, offset: int) -> None:
        """Stop firmware that waits for a clock that never tells that it runs."""
        self.host.limit(f"the firmware waits for what RCC + {offset:#04x} tells, which isn't modelled")

    def runs(self, base: int) -> bool:
        """Tell whether a block has its clock."""
        register, bit = _ENABLES.get(base, (0, 0))
        return not register or bool(self.get(register) >> bit & 1)

    def has(self, bit: int) -> bool:
        """Tell whether AHB2ENR gives a memory its clock."""
        return bool(self.get(_AHB2ENR) >> bit & 1)


def _range(reference_hz: int) -> int:
    """Return what PLL1RGE has to be: 8 MHz is at the end of a range."""
    return 0 if reference_hz <= 2_000_000 else 1 if reference_hz <= 4_000_000 else 2 if reference_hz <= 8_000_000 else 3


class Identity(Device):
    """DBGMCU: which chip it is, and what runs on while the core is halted, which isn't modelled."""

    def read(self, offset: int) -> int:
        """Return a register."""
        return 0x20036450 if offset == 0 else super().read(offset)


class Stm32h7Bus(Bus):
    """The peripherals of an STM32H7 that firmware of this package, and pyOCD's algorithm, use."""

    block = 0x400
    nothing = "where no peripheral is modelled"

    def __init__(
        self,
        host: Host,
        chip: ChipData,
        memory: Memory,
        line: Line,
        pins: tuple[int, ...],
        clock_hz: int,
        seed: str,
    ) -> None:
        """Build the peripherals; `pins` are those of the serial line."""
        self._host = host
        self.flash = interface = FlashInterface(host, _FLASH, memory, chip)
        power = Power(host, _PWR)
        self._rcc = rcc = Rcc(host, clock_hz, lambda: power.voltage, lambda: interface.get(ACR))
        self.gpio = gpio = Pins(host, _GPIOS)
        requests = Device(host, _DMAMUX1)
        dma = Dma(host, _DMA1, requests, _PORT, self._unreachable)
        self.serial = usart = Usart(
            host, _PORT, memory, line, dma, clock_hz // 4, lambda: gpio.not_connected(pins, _PORT)
        )
        numbers = RandomNumbers(host, seed, lambda: bool(rcc.read(_CR) & _HSI48_READY), _RNG)
        clocked = [requests, dma, usart, Timer2(host, _TIM2, divider=2), numbers]
        watchdogs = [Device(host, base) for base in (_IWDG1, _IWDG2, _WINDOW_WATCHDOG)]
        super().__init__([interface, power, rcc, Identity(host, _DBGMCU), *gpio.ports, *clocked, *watchdogs])

    def _unreachable(self, address: int, size: int) -> str | None:
        """Say why DMA1 and the core don't see the same bytes there; None if they do."""
        for begin, end, name in _TCMS:
            if begin <= address < end:
                return f"DMA1 is to use {size} bytes at {address:#010x}: it can't reach {name}"
        for begin, end, name, bit in _SRAMS:
            if address < end and begin < address + size and not self._rcc.has(bit):
                return f"DMA1 is to use {name} while RCC gives it no clock: it is dead then"
        if self._host.cached(address, size):
            return f"DMA1 is to use {size} bytes at {address:#010x}, of which the data cache may hold others"
        return None

    def note_reset(self, reason: int) -> None:
        """Set the flags of RCC_RSR."""
        self._rcc.note_reset(reason)

    def forget_resets(self) -> None:
        """Clear the flags of RCC_RSR."""
        self._rcc.forget_resets()

    def _check_clock(self, address: int) -> None:
        base = address & -self.block
        if base in self.pages and not self._rcc.runs(base):
            name = _NAMES.get(base) or f"GPIO{'ABCDEFGHIJK'[_GPIOS[base]]}"
            self._host.misuse(f"the firmware uses {name} while RCC gives it no clock: it is dead then")

    def read(self, address: int, size: int, *, debugger: bool = False) -> int | None:
        """Read a peripheral register, or None where there is none."""
        if not debugger:
            self._check_clock(address)
        return super().read(address, size, debugger=debugger)

    def write(self, address: int, value: int) -> bool:
        """Write a peripheral register; False where there is none."""
        self._check_clock(address)
        return super().write(address, value)
