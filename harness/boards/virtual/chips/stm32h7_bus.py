"""The bus of the STM32H7: supply, clocks, and what else differs from other families.

Registers are those of the reference manual RM0433. What isn't modelled answers nothing: an access stops the CPU.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from harness.boards.virtual.chips.device import RESET_PIN, RESET_SOFT, RESET_WATCHDOG, Device
from harness.boards.virtual.chips.stm32_bus import PORTS, Pins, RandomNumbers, ResetAndClocks, Stm32Bus, Timer2
from harness.boards.virtual.chips.stm32h7_dma import Dma
from harness.boards.virtual.chips.stm32h7_flash import ACR, FlashInterface
from harness.boards.virtual.chips.stm32l4_usart import RECEIVE, SEND, SerialPort, Usart

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.boards.virtual.chips.device import Host
    from harness.boards.virtual.chips.made import Made
    from harness.boards.virtual.chips.memory import Memory
    from harness.boards.virtual.ports.serial_line import Line

_TIM2, _IWDG2, _USART3, _DMA1, _DMAMUX1 = 0x40000000, 0x40002C00, 0x40004800, 0x40020000, 0x40020800
_RNG, _FLASH, _RCC, _PWR, _DBGMCU = 0x48021800, 0x52002000, 0x58024400, 0x58024800, 0x5C001000
_IWDG1 = 0x58004800
_WINDOW_WATCHDOG = 0x58004C00  # pyOCD's algorithm writes where another chip of the line has a watchdog
_GPIOS = {0x58020000 + 0x400 * port: port for port in range(11)}
_CR, _CFGR, _D1CFGR, _D2CFGR, _PLLCKSELR, _PLLCFGR, _PLL1DIVR = 0x00, 0x10, 0x18, 0x1C, 0x28, 0x2C, 0x30
_AHB1ENR, _AHB2ENR, _AHB4ENR, _APB1LENR = 0xD8, 0xDC, 0xE0, 0xE8
_HSE_BYPASS, _PLL1_ON, _HSI48_READY, _SW_PLL1, _SW_HSE = 5 << 16, 1 << 24, 1 << 13, 3, 2
_HSE_HZ = 8_000_000  # on Nucleo boards, from the ST-LINK
_VOS1, _VOSRDY = 3, 1 << 13
_PWR_CSR1, _PWR_CR3, _PWR_D3CR = 0x04, 0x0C, 0x18
#: Each block's name, and the bit of RCC that gives it its clock.
_BLOCKS = {
    _TIM2: ("TIM2", _APB1LENR, 0),
    _DMA1: ("DMA1", _AHB1ENR, 0),
    _DMAMUX1: ("DMAMUX1", _AHB1ENR, 0),
    _RNG: ("the RNG", _AHB2ENR, 6),
    **{base: (f"GPIO{PORTS[port]}", _AHB4ENR, port) for base, port in _GPIOS.items()},
}
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


class Rcc(ResetAndClocks):
    """RCC of the STM32H7."""

    ready_after = ((0, 2), (7, 8), (12, 13), (16, 17), (24, 25))
    switch = (_CFGR, 3)
    causes, clear_flags = 0xD0, 1 << 16
    flags: ClassVar[dict[int, int]] = {RESET_PIN: 1 << 22, RESET_SOFT: 1 << 24, RESET_WATCHDOG: 1 << 26}
    flags_of_power = 7 << 21 | 1 << 19 | 1 << 20

    def __init__(self, host: Host, clock_hz: int, voltage: Callable[[], int], flash: Callable[[], int]) -> None:
        """Connect; `voltage` tells VOS, and `flash` FLASH_ACR."""
        self._voltage, self._flash = voltage, flash
        super().__init__(host, _RCC, clock_hz)

    def reset(self) -> None:
        """Run from HSI at 64 MHz."""
        self.registers = {_CR: 1, _PLLCKSELR: 0x02020200, _PLLCFGR: 0x01FF0000, _PLL1DIVR: 0x01010280}

    def written(self, offset: int, value: int) -> None:
        """Check that the clock is the one that the board's kind says, and that supply and flash do for it."""
        super().written(offset, value)
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
        elif frequency != self.clock_hz:
            self.host.limit(
                f"the firmware clocks the core at {frequency} Hz, and this kind of board has {self.clock_hz}"
            )
        elif not 192_000_000 <= vco <= 836_000_000 or configuration >> 2 & 3 != _range(reference):
            self.host.misuse(f"PLL1 is to make {vco} Hz of {reference} Hz, which its ranges don't allow")
        elif self._voltage() != _VOS1:
            self.host.misuse(f"the core's clock is {frequency} Hz at VOS = {self._voltage()}, and needs VOS1")
        elif self._flash() & 0xF < 2 or self._flash() >> 4 & 3 < 2:
            self.host.misuse(
                f"the core's clock is {frequency} Hz with FLASH_ACR = {self._flash():#x}: two wait states, WRHIGHFREQ 2"
            )


def _range(reference_hz: int) -> int:
    """Return what PLL1RGE has to be: 8 MHz is at the end of a range."""
    return 0 if reference_hz <= 2_000_000 else 1 if reference_hz <= 4_000_000 else 2 if reference_hz <= 8_000_000 else 3


class Identity(Device):
    """DBGMCU: which chip it is, and what runs on while the core is halted, which isn't modelled."""

    def read(self, offset: int) -> int:
        """Return a register."""
        return 0x20036450 if offset == 0 else super().read(offset)


class Stm32h7Bus(Stm32Bus):
    """The peripherals of an STM32H7 that firmware of this package, and pyOCD's algorithm, use."""

    port = _PORT
    blocks = _BLOCKS

    def __init__(self, host: Host, made: Made, memory: Memory, line: Line) -> None:
        """Build the peripherals."""
        wiring = made.wiring
        self.flash = interface = FlashInterface(host, _FLASH, memory, made.data)
        power = Power(host, _PWR)
        rcc = Rcc(host, wiring.clock_hz, lambda: power.voltage, lambda: interface.get(ACR))
        self.gpio = gpio = Pins(host, _GPIOS)
        requests = Device(host, _DMAMUX1)
        dma = Dma(host, _DMA1, requests, _PORT, self._unreachable)
        self.serial = usart = Usart(
            host, _PORT, memory, line, dma, wiring.clock_hz // 4, lambda: gpio.not_connected(wiring.serial, _PORT)
        )
        numbers = RandomNumbers(host, _RNG, made.seed, lambda: bool(rcc.read(_CR) & _HSI48_READY))
        clocked = [requests, dma, usart, Timer2(host, _TIM2, divider=2), numbers]
        watchdogs = [Device(host, base) for base in (_IWDG1, _IWDG2, _WINDOW_WATCHDOG)]
        super().__init__(host, rcc, [interface, power, Identity(host, _DBGMCU), *gpio.ports, *clocked, *watchdogs])

    def _unreachable(self, address: int, size: int) -> str | None:
        """Say why DMA1 and the core don't see the same bytes there; None if they do."""
        for begin, end, name in _TCMS:
            if begin <= address < end:
                return f"DMA1 is to use {size} bytes at {address:#010x}: it can't reach {name}"
        for begin, end, name, bit in _SRAMS:
            if address < end and begin < address + size and not self.clocks.runs(_AHB2ENR, bit):
                return f"DMA1 is to use {name} while RCC gives it no clock: it is dead then"
        if self._host.cached(address, size):
            return f"DMA1 is to use {size} bytes at {address:#010x}, of which the data cache may hold others"
        return None
