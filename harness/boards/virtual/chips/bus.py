"""The bus: which peripheral answers at which address, for the CPU and for the debugger."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from harness.boards.virtual.chips.device import Device

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from harness.boards.virtual.chips.device import Timed

PAGE = 0x1000  # what the CPU emulator maps
_POLLS = 1000  # reads of one block of registers in a row, after which the CPU must be waiting for something


class Serial(Protocol):
    """The peripheral behind the board's serial line."""

    @property
    def enabled(self) -> bool:
        """Whether it is switched on."""

    def pump(self) -> None:
        """Let the line move: bytes from the host into RAM, bytes to the host out."""

    def slept(self) -> None:
        """Learn that the CPU went to sleep."""


class FlashController(Protocol):
    """What erases and programs the flash.

    Attributes:
        resists: tells whether the word at an address stays as it is.
        how: what a write to flash must be like, for messages.
    """

    resists: Callable[[int], bool] | None
    how: str

    def program(self, address: int, data: bytes) -> bool:
        """Program flash; False if this isn't possible now or there."""

    def erase_all(self) -> None:
        """Erase all of it."""


class Outputs(Protocol):
    """The pins.

    Attributes:
        on_output: called with the level of each pin as a bit when firmware changes one.
    """

    on_output: Callable[[int], None] | None


class Bus:
    """The peripherals of a chip, by their addresses. Each family derives its own.

    Attributes:
        block: the size of a peripheral's block of registers.
        serial: the serial line's peripheral.
        flash: the flash controller.
        gpio: the pins.
        timed: what does something by itself.
        nothing: where an access fails that reaches no peripheral, in words.
        has_ctrl_ap: whether there is Nordic's CTRL-AP beside the memory access port.
    """

    block = PAGE
    serial: Serial
    flash: FlashController
    gpio: Outputs
    has_ctrl_ap = False
    nothing = "where there is no peripheral"

    def __init__(self, peripherals: Iterable[Device]) -> None:
        """Let peripherals answer at their addresses."""
        self.pages: dict[int, Device] = {}
        self.timed: list[Timed] = []
        for peripheral in peripherals:
            self.add(peripheral)
        self._read_page, self._reads = 0, 0

    def add(self, peripheral: Device) -> None:
        """Let a peripheral answer at its address."""
        self.pages[peripheral.base] = peripheral
        if type(peripheral).deadline is not Device.deadline:
            self.timed.append(peripheral)

    def spans(self) -> list[tuple[int, int]]:
        """Return address and length of each run of pages in which something answers."""
        spans: list[tuple[int, int]] = []
        for base in sorted({base & -PAGE for base in self.pages}):
            if spans and sum(spans[-1]) == base:
                spans[-1] = (spans[-1][0], spans[-1][1] + PAGE)
            else:
                spans.append((base, PAGE))
        return spans

    def reset(self, reason: int) -> None:
        """Reset every peripheral that a reset for this reason (bits; 0: power-on) reaches."""
        for peripheral in self.pages.values():
            if not reason or reason & ~peripheral.survives:
                peripheral.reset()

    def note_reset(self, reason: int) -> None:
        """Keep for the firmware why the chip was reset (bits; 0: power-on)."""

    def forget_resets(self) -> None:
        """Lose what `note_reset` kept, as without power."""

    def plug(self, *, in_: bool) -> None:
        """Give or take the power of a USB cable."""

    def event_raised(self, address: int) -> None:
        """Pass an event of a peripheral on to what is connected to it."""

    def read(self, address: int, size: int, *, debugger: bool = False) -> int | None:
        """Read a peripheral register, or None where there is none."""
        base, offset = address & -self.block, address % self.block & ~3
        peripheral = self.pages.get(base)
        if peripheral is None:
            return None
        if base != self._read_page:
            self._read_page, self._reads = base, 0
        elif not debugger:
            self._reads += 1
            if self._reads > _POLLS:
                peripheral.polled(offset)
        word = peripheral.read(offset)
        return word >> 8 * (address & 3) & (1 << 8 * size) - 1

    def write(self, address: int, value: int) -> bool:
        """Write a peripheral register; False where there is none. Narrow writes act as words, as on the APB."""
        peripheral = self.pages.get(address & -self.block)
        if peripheral is None:
            return False
        self._read_page = 0
        peripheral.write(address % self.block & ~3, value)
        return True
