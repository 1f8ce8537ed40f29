"""A fault, and the parts of a virtual board that one can be put into."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from harness.boards.virtual.debug.dap import DebugPort
    from harness.boards.virtual.machine import Machine
    from harness.boards.virtual.ports.serial_line import Line
    from harness.boards.virtual.usb.host import CdcHost


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong.

    Attributes:
        kind: its name, as in docs/faults.md.
        value: how much of it; what that means depends on the kind.
        seed: of the random numbers, where there are any.
        after: serial: bytes in one direction, usb: bytes from the board, swd and probe: transfers of a block of memory,
            that come through before it begins.
        times: how often it happens; 0 for always.
        inference: board: it happens in every one of this many RUNs, the warm-up counted.
        at: board: how many instructions after the start of the inference.
    """

    kind: str
    value: float = 0.0
    seed: int = 0
    after: int = 0
    times: int = 1
    inference: int = 4
    at: int = 100_000


@dataclass
class ActiveFault:
    """A fault that was put into a board.

    Attributes:
        fault: what goes wrong.
        struck: how often it has happened so far.
    """

    fault: Fault
    struck: int = 0

    def strike(self) -> bool:
        """Count one more, unless it has happened often enough."""
        if self.fault.times and self.struck >= self.fault.times:
            return False
        self.struck += 1
        return True


class Parts(Protocol):
    """What faults need of a virtual board; the board itself imports the faults.

    Attributes:
        machine: the running chip.
        line: its serial line.
        dap: its debug port.
        link: how it is connected.
        usb: the computer at the other end of its USB cable; None without one.
        on_usb_port: called with the path of each port that USB makes, before anybody else knows of it.
    """

    machine: Machine
    line: Line
    dap: DebugPort
    link: str
    usb: CdcHost | None
    on_usb_port: Callable[[str], None] | None

    def replace_port(self) -> None:
        """Let the serial port vanish and return under another name. Called on the CPU's thread."""
        ...


#: Puts a fault into a board.
Install = Callable[[Parts, ActiveFault], None]
