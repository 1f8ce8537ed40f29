"""The families of chips: which code makes a chip of its data."""

from __future__ import annotations

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

if TYPE_CHECKING:
    from harness.boards.virtual.chips.bus import Bus
    from harness.boards.virtual.chips.device import Host
    from harness.boards.virtual.chips.made import Made
    from harness.boards.virtual.chips.memory import Memory
    from harness.boards.virtual.ports.serial_line import Line


_BUSES: dict[str, type[Rp2040Bus | Stm32h7Bus | Stm32l4Bus]] = {
    "rp2040": Rp2040Bus,
    "stm32h7": Stm32h7Bus,
    "stm32l4": Stm32l4Bus,
    "stm32l4plus": Stm32l4PlusBus,
}


def build_bus(host: Host, made: Made, memory: Memory, line: Line) -> Bus:
    """Build the peripherals of a chip."""
    if made.data.family in _BUSES:
        return _BUSES[made.data.family](host, made, memory, line)
    wiring = made.wiring
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
