"""The bus of the STM32L4: clocks, and what else differs from other families.

Registers are those of the reference manual RM0351. What isn't modelled answers nothing: an access stops the CPU.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from harness.boards.virtual.chips.device import RESET_PIN, RESET_SOFT, RESET_WATCHDOG
from harness.boards.virtual.chips.stm32_bus import PORTS, Pins, RandomNumbers, ResetAndClocks, Stm32Bus, Timer2
from harness.boards.virtual.chips.stm32l4_flash import ACR, FlashInterface
from harness.boards.virtual.chips.stm32l4_usart import USART1, Dma, Usart

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.boards.virtual.chips.device import Host
    from harness.boards.virtual.chips.made import Made
    from harness.boards.virtual.chips.memory import Memory
    from harness.boards.virtual.ports.serial_line import Line

_TIM2, _DMA1, _RCC, _FLASH = 0x40000000, 0x40020000, 0x40021000, 0x40022000
_GPIOS = {0x48000000 + 0x400 * port: port for port in range(8)}
_RNG = 0x50060800
CFGR, _PLLCFGR, _CCIPR = 0x08, 0x0C, 0x88
_CR, _PLL_READY, SW_PLL = 0x00, 1 << 25, 3
_HSI_HZ = 16_000_000
_RCC_RESETS = {_CR: 0x63, _PLLCFGR: 0x1000, 0x48: 0x100}
#: Each block's name, and the bit of RCC that gives it its clock.
BLOCKS = {
    _TIM2: ("TIM2", 0x58, 0),
    _DMA1: ("DMA1", 0x48, 0),
    _RNG: ("the RNG", 0x4C, 18),
    **{base: (f"GPIO{PORTS[port]}", 0x4C, port) for base, port in _GPIOS.items()},
}


class Rcc(ResetAndClocks):
    """RCC of the STM32L4.

    Attributes:
        hz_per_wait_state: how much faster the core's clock may be for each wait state of the flash, in voltage range 1.
    """

    ready_after = ((0, 1), (8, 10), (16, 17), (24, 25))
    switch = (CFGR, 2)
    causes, clear_flags = 0x94, 1 << 23
    flags: ClassVar[dict[int, int]] = {RESET_PIN: 1 << 26, RESET_SOFT: 1 << 28, RESET_WATCHDOG: 1 << 29}
    flags_of_power = 1 << 27
    hz_per_wait_state = 16_000_000

    def __init__(self, host: Host, clock_hz: int, wait_states: Callable[[], int]) -> None:
        """Connect; `wait_states` tells those of the flash."""
        self._wait_states = wait_states
        super().__init__(host, _RCC, clock_hz)

    def reset(self) -> None:
        """Run from MSI at 4 MHz."""
        self.registers = dict(_RCC_RESETS)

    def written(self, offset: int, value: int) -> None:
        """Check that the clock is the one that the board's kind says, and that flash is fast enough for it."""
        super().written(offset, value)
        if offset == CFGR and value & 3 == SW_PLL:
            self.switched(value >> 4 & 0x3FF)

    def switched(self, dividers: int) -> None:
        """Check the PLL as the core's clock; `dividers` are HPRE, PPRE1 and PPRE2, 0 for none."""
        pll = self.get(_PLLCFGR)
        frequency = _HSI_HZ * (pll >> 8 & 0x7F) // ((pll >> 4 & 0xF) + 1) // (2 * ((pll >> 25 & 3) + 1))
        if pll & 3 != 2 or not pll >> 24 & 1 or not self.read(_CR) & _PLL_READY or dividers:
            self.host.limit("the firmware clocks the core from something else than the PLL behind HSI: not modelled")
        elif frequency != self.clock_hz:
            self.host.limit(
                f"the firmware clocks the core at {frequency} Hz, and this kind of board has {self.clock_hz}"
            )
        else:
            self.check_flash(frequency)

    def check_flash(self, frequency: int) -> None:
        """Check that flash is fast enough for a clock of the core."""
        if self._wait_states() < -(-frequency // self.hz_per_wait_state) - 1:
            self.host.misuse(f"the core's clock is {frequency} Hz with {self._wait_states()} wait states of the flash")


class Stm32l4Bus(Stm32Bus):
    """The peripherals of an STM32L4 that firmware of this package uses."""

    port = USART1
    blocks = BLOCKS

    def __init__(self, host: Host, made: Made, memory: Memory, line: Line) -> None:
        """Build the peripherals."""
        self._host = host
        wiring = made.wiring
        self.flash = interface = FlashInterface(host, _FLASH, memory, made.data)
        rcc = self._clocks(host, wiring.clock_hz, lambda: interface.get(ACR) & 0xF)
        self.gpio = self._pins = Pins(host, _GPIOS)
        dma = self._dma(host, _DMA1)
        self.serial = usart = Usart(
            host, self.port, memory, line, dma, wiring.clock_hz, lambda: self._not_connected(wiring.serial)
        )
        numbers = RandomNumbers(host, _RNG, made.seed, lambda: bool(rcc.get(_CCIPR) >> 26 & 3))
        super().__init__(host, rcc, [interface, *self._pins.ports, dma, usart, Timer2(host, _TIM2), numbers])

    def _clocks(self, host: Host, clock_hz: int, wait_states: Callable[[], int]) -> Rcc:
        return Rcc(host, clock_hz, wait_states)

    def _dma(self, host: Host, base: int) -> Dma:
        return Dma(host, base, self.port)

    def _not_connected(self, pins: tuple[int, ...]) -> str | None:
        return self._pins.not_connected(pins, self.port)
