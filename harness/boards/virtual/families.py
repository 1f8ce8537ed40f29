"""The families of chips: which code makes a chip of its data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.boards.virtual.chips.nrf52_bus import Nrf52Bus
from harness.boards.virtual.chips.nrf52840 import PAGES, WORKAROUNDS
from harness.boards.virtual.chips.rp2040_bus import Rp2040Bus
from harness.boards.virtual.chips.stm32h7_bus import Stm32h7Bus
from harness.boards.virtual.chips.stm32l4_bus import Stm32l4Bus
from harness.boards.virtual.chips.stm32l4plus_bus import Stm32l4PlusBus
from harness.boards.virtual.chips.uarte import Pins
from harness.boards.virtual.usb.usbd import Usbd
from harness.boards.virtual.usb.workarounds import Workarounds
from harness.config.board import SerialPins, pin_number

if TYPE_CHECKING:
    from harness.boards.virtual.chips.bus import Bus
    from harness.boards.virtual.chips.device import Host
    from harness.boards.virtual.chips.memory import Memory
    from harness.boards.virtual.ports.serial_line import Line
    from harness.config import BoardKind
    from harness.config.chip import ChipData


_STM32: dict[str, type[Stm32l4Bus | Stm32h7Bus]] = {
    "stm32h7": Stm32h7Bus,
    "stm32l4": Stm32l4Bus,
    "stm32l4plus": Stm32l4PlusBus,
}
_SERIAL, _SYNC = SerialPins(tx="P1.03", rx="P1.10"), "P1.11"


@dataclass(frozen=True)
class Wiring:
    """How a board uses its chip. Pins are as the chip numbers them.

    Attributes:
        clock_hz: of the core.
        tx: the pin that the serial line leaves by.
        rx: the one that it comes in by.
        sync: the pin that is high while inferences run.
        part: where the chip's part number is; None if that isn't known.
    """

    clock_hz: int
    tx: int
    rx: int
    sync: int
    part: int | None

    @classmethod
    def of(cls, kind: BoardKind) -> Wiring:
        """Return how a kind of board uses its chip: pins that it doesn't name are those of the Nano 33."""
        serial, sync = kind.serial or _SERIAL, kind.sync_pin or _SYNC
        part = kind.part.address if kind.part else None
        return cls(kind.clock_hz, pin_number(serial.tx), pin_number(serial.rx), pin_number(sync), part)


@dataclass(frozen=True)
class Made:
    """What a chip is made of.

    Attributes:
        data: what all chips of its name have.
        identity: what tells it from others, as its information page has it.
        wiring: how the board uses it.
        seed: of its random numbers.
    """

    data: ChipData
    identity: bytes
    wiring: Wiring
    seed: str


def build_bus(host: Host, made: Made, memory: Memory, line: Line) -> Bus:
    """Build the peripherals of a chip."""
    wiring = made.wiring
    pins = (wiring.tx, wiring.rx)
    if made.data.family == "rp2040":
        return Rp2040Bus(host, made.data, memory, line, pins, wiring.clock_hz, made.seed)
    if made.data.family in _STM32:
        return _STM32[made.data.family](host, made.data, memory, line, pins, wiring.clock_hz, made.seed)
    return Nrf52Bus(host, made.data, memory, line, Pins(wiring.tx, wiring.rx), made.seed)


def build_usb(host: Host, bus: Bus, memory: Memory) -> Usbd | None:
    """Build the USB device of a chip, and let it answer on the bus; None if it has none that is modelled."""
    if not isinstance(bus, Nrf52Bus):
        return None
    workarounds = Workarounds(host, WORKAROUNDS)
    usbd = Usbd(host, PAGES[0x40027000], memory, bus.clock_power, workarounds)
    bus.add(workarounds)
    bus.add(usbd)
    return usbd
