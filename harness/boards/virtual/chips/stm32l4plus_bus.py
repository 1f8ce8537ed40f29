"""The bus of the STM32L4+, where it differs from the STM32L4's: voltage, LPUART1, requests to DMA by a multiplexer.

Registers are those of the reference manual RM0432.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from harness.boards.virtual.chips.device import Device
from harness.boards.virtual.chips.stm32l4_bus import BLOCKS, CFGR, SW_PLL, Rcc, Stm32l4Bus
from harness.boards.virtual.chips.stm32l4_usart import RECEIVE, SEND, Dma, SerialPort

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.boards.virtual.chips.device import Host

_PWR, _DMAMUX = 0x40007000, 0x40020800
_LPUART1 = SerialPort("LPUART1", 0x40008000, (0x5C, 0), 8, {SEND: 35, RECEIVE: 34}, baud_factor=256, fifo_bytes=8)
_CR1, _CR2, _CR5 = 0x00, 0x04, 0x80
_IOSV, _R1MODE = 1 << 9, 1 << 8
_REQUEST = 0x7F
_HALF = 8  # HPRE, with PPRE1 and PPRE2 undivided
_HIGHEST_HZ = 80_000_000  # of the core without boost; faster ones are reached from half of them
_PORT_G = 6


class Power(Device):
    """PWR, as far as it makes the core fast and pins live."""

    def reset(self) -> None:
        """Return to voltage range 1 without boost."""
        self.registers = {_CR1: 0x200, _CR5: _R1MODE}

    @property
    def boosts(self) -> bool:
        """Whether the core may run faster than 80 MHz."""
        return not self.get(_CR5) & _R1MODE

    @property
    def supplies_port_g(self) -> bool:
        """Whether PG2 to PG15 have a supply."""
        return bool(self.get(_CR2) & _IOSV)


class ClocksWithBoost(Rcc):
    """RCC with the rules of a core that may run at 120 MHz."""

    hz_per_wait_state = 20_000_000

    def __init__(self, host: Host, clock_hz: int, wait_states: Callable[[], int], power: Power) -> None:
        self._power = power
        super().__init__(host, clock_hz, wait_states)

    def reset(self) -> None:
        """Run from MSI at 4 MHz."""
        super().reset()
        self._slow = True

    def written(self, offset: int, value: int) -> None:
        """Note when the core leaves the PLL."""
        super().written(offset, value)
        self._slow = self._slow or (offset == CFGR and value & 3 != SW_PLL)

    def switched(self, dividers: int) -> None:
        """Check the clock, and the way to it."""
        was_slow, self._slow = self._slow, False
        half = dividers == _HALF
        super().switched(0 if half else dividers)
        if self.clock_hz > _HIGHEST_HZ and not self._power.boosts:
            self.host.misuse(f"the core's clock is {self.clock_hz} Hz without boost (PWR_CR5.R1MODE)")
        elif self.clock_hz > _HIGHEST_HZ and was_slow and not half:
            self.host.misuse(
                f"the core's clock jumps to {self.clock_hz} Hz; above {_HIGHEST_HZ} Hz it has to be halved first "
                "(RCC_CFGR.HPRE)"
            )


class Multiplexer(Device):
    """DMAMUX1: which request moves which channel of DMA1."""

    def request(self, channel: int) -> int:
        """Return the number of a channel's request."""
        return self.get(4 * (channel - 1)) & _REQUEST


class MultiplexedDma(Dma):
    """DMA1, which DMAMUX1 tells the requests of its channels."""

    def __init__(self, host: Host, base: int, port: SerialPort, multiplexer: Multiplexer) -> None:
        self._multiplexer = multiplexer
        super().__init__(host, base, port)

    def request(self, channel: int) -> int:
        """Return the number of the request that moves a channel."""
        return self._multiplexer.request(channel)


class Stm32l4PlusBus(Stm32l4Bus):
    """The peripherals of an STM32L4+ that firmware of this package uses."""

    port = _LPUART1
    blocks: ClassVar[dict[int, tuple[str, int, int]]] = {
        **BLOCKS,
        _PWR: ("PWR", 0x58, 28),
        _DMAMUX: ("DMAMUX1", 0x48, 2),
    }

    def __init__(self, host: Host, *parts: Any) -> None:
        """Build the peripherals; the arguments are those of `Stm32l4Bus`."""
        self._power, self._multiplexer = Power(host, _PWR), Multiplexer(host, _DMAMUX)
        super().__init__(host, *parts)
        self.add(self._power)
        self.add(self._multiplexer)

    def _clocks(self, host: Host, clock_hz: int, wait_states: Callable[[], int]) -> Rcc:
        return ClocksWithBoost(host, clock_hz, wait_states, self._power)

    def _dma(self, host: Host, base: int) -> Dma:
        return MultiplexedDma(host, base, self.port, self._multiplexer)

    def _not_connected(self, pins: tuple[int, ...]) -> str | None:
        if any(pin // 16 == _PORT_G and pin % 16 > 1 for pin in pins) and not self._power.supplies_port_g:
            self._host.misuse(f"{self.port.name} is at PG2 to PG15, which are dead without PWR_CR2.IOSV")
            return None
        return super()._not_connected(pins)
