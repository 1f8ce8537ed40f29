"""PPI: lets an event of one peripheral trigger tasks of others, without the CPU."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.boards.virtual.chips.nrf52840 import FIXED_CHANNELS
from harness.boards.virtual.chips.peripheral import Peripheral

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.boards.virtual.chips.device import Device, Host
    from harness.boards.virtual.chips.nrf52840 import Page

_CHEN, _CH, _CHG, _FORK = 0x500, 0x510, 0x800, 0x910
_PROGRAMMABLE, _CHANNELS = 20, 32
_PAGE = 0x1000
_LONGEST_CHAIN = 32  # events that trigger events; more of them chase each other for ever


class Ppi(Peripheral):
    """The channels, their groups and forks."""

    tasks = tuple(range(0x000, 0x030, 4))
    switches = (_CHEN,)

    def __init__(self, host: Host, page: Page, pages: dict[int, Device], write: Callable[[int, int], object]) -> None:
        """Connect to the bus.

        Args:
            host: the chip that it is a part of.
            page: its registers and their address.
            pages: the peripherals whose events it sees.
            write: writes a register of a peripheral.
        """
        self._pages = pages
        self._write = write
        self._routes: dict[int, list[int]] = {}
        self._chain = 0
        super().__init__(host, page)

    def reset(self) -> None:
        super().reset()
        self._connect()

    def written(self, offset: int, value: int) -> None:
        del offset, value
        self._connect()
        self.host.attention()

    def task(self, offset: int) -> None:
        group = self.get(_CHG + 4 * (offset // 8))
        enabled = self.get(_CHEN)
        self.registers[_CHEN] = enabled & ~group if offset & 4 else enabled | group
        self.written(_CHEN, self.get(_CHEN))

    def _ends(self, channel: int) -> tuple[int, tuple[int, int]]:
        """Return the event of a channel, and its two tasks; 0 for none."""
        if channel < _PROGRAMMABLE:
            event, task = self.get(_CH + 8 * channel), self.get(_CH + 8 * channel + 4)
        else:
            event, task = FIXED_CHANNELS[channel - _PROGRAMMABLE]
        return event, (task, self.get(_FORK + 4 * channel))

    def _connect(self) -> None:
        self._routes = {}
        for channel in range(_CHANNELS):
            if self.get(_CHEN) >> channel & 1:
                event, tasks = self._ends(channel)
                self._routes.setdefault(event, []).extend(task for task in tasks if task)
        for base, peripheral in self._pages.items():
            if not isinstance(peripheral, Peripheral):
                continue
            peripheral.routed = frozenset(event - base for event in self._routes if base <= event < base + _PAGE)
            for offset in peripheral.routed:
                if peripheral.events and offset not in peripheral.event:
                    self.host.limit(f"the firmware connects {peripheral.name(offset)} by PPI, which isn't modelled")

    def pass_on(self, address: int) -> None:
        """Trigger the tasks that are connected to the event at `address`."""
        self._chain += 1
        try:
            if self._chain > _LONGEST_CHAIN:
                self.host.limit("PPI connects events and tasks in a circle, which isn't modelled")
                return
            for task in self._routes.get(address, ()):
                self._write(task, 1)
        finally:
            self._chain -= 1
