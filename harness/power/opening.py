"""From the `power:` key of a device to an open power monitor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from serial.tools import list_ports

from harness.boards.opening import VirtualBoard
from harness.errors import PowerError
from harness.power.joulescope import Joulescope, load_driver
from harness.power.lpm01a import USB_ID as LPM01A_USB
from harness.power.lpm01a import Lpm01a
from harness.power.ppk2 import USB_ID as PPK2_USB
from harness.power.ppk2 import Ppk2
from harness.power.virtual.bench import SimulatedMonitor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from serial.tools.list_ports_common import ListPortInfo

    from harness.boards.base import Board
    from harness.config.power import PowerSupply
    from harness.power.base import Monitor


@dataclass(frozen=True)
class FoundPort:
    """The serial port of a power monitor."""

    path: str
    serial: str


def find_monitor(kind: str, usb: tuple[int, int], serial: str | None, ports: Iterable[ListPortInfo]) -> FoundPort:
    """Find a monitor's serial port by its USB serial number, never by the port's name.

    Args:
        kind: what messages call the monitor.
        usb: its USB ids, vendor and product.
        serial: its serial number; None if it must be the only one.
        ports: the serial ports that are attached.

    Raises:
        PowerError: there is none, or several could be meant.
    """
    attached = [port for port in ports if (port.vid, port.pid) == usb]
    matching = [port for port in attached if serial is None or (port.serial_number or "") == serial]
    # One monitor may show several ports, which share where it is plugged in; the first one carries the samples.
    places: dict[str, ListPortInfo] = {}
    for port in sorted(matching, key=lambda port: (port.location or "", port.device)):
        places.setdefault((port.location or port.device).partition(":")[0], port)
    wanted = f"{kind} {serial}" if serial else kind
    if not places:
        seen = ", ".join(sorted({port.serial_number or "without serial number" for port in attached})) or "none"
        raise PowerError(f"no {wanted} is attached ({kind} monitors on this computer: {seen}); plug it in")
    if len(places) > 1:
        seen = ", ".join(f"{port.serial_number or '?'} at {place}" for place, port in sorted(places.items()))
        remedy = (
            "two monitors with the same serial number can't be told apart: unplug one of them"
            if serial
            else "say which one with `serial:` under `power:` in devices.yaml"
        )
        raise PowerError(f"{len(places)} power monitors could be meant by {wanted} ({seen}); {remedy}")
    port = next(iter(places.values()))
    return FoundPort(port.device, port.serial_number or "")


def _ppk2(supply: PowerSupply) -> Monitor:
    port = find_monitor("ppk2", PPK2_USB, supply.serial, list_ports.comports())
    return Ppk2(port.path, port.serial, supply.voltage_v, supply.mode)


def _lpm01a(supply: PowerSupply) -> Monitor:
    port = find_monitor("lpm01a", LPM01A_USB, supply.serial, list_ports.comports())
    return Lpm01a(port.path, port.serial, supply.voltage_v, supply.rate_hz, binary=supply.format == "binary")


def _joulescope(supply: PowerSupply) -> Monitor:
    return Joulescope(load_driver(), supply.serial, supply.voltage_v, supply.rate_hz, supply.sync_input)


#: The monitors with a serial port, and their USB vendor and product.
SERIAL_MONITORS: Final = {"ppk2": PPK2_USB, "lpm01a": LPM01A_USB}

#: How each kind of monitor is opened.
OPENERS: Final[dict[str, Callable[[PowerSupply], Monitor]]] = {
    "ppk2": _ppk2,
    "lpm01a": _lpm01a,
    "joulescope": _joulescope,
}


def open_monitor(supply: PowerSupply, board: Board) -> Monitor:
    """Open the power monitor of a board.

    Raises:
        PowerError: it isn't there, doesn't work, or can't measure this board.
    """
    if supply.simulated:
        if not isinstance(board, VirtualBoard):
            raise PowerError(f"{board.name}: a simulated {supply.monitor} sees virtual boards only, not a real one")
        return SimulatedMonitor(board.twin, supply)
    if board.backend != "hardware":
        raise PowerError(
            f"{board.name}: the {board.backend} board draws no current that a {supply.monitor} could measure; "
            "`simulated: true` under `power:` gives simulated figures"
        )
    return open_real(supply)


def open_real(supply: PowerSupply) -> Monitor:
    """Open a monitor that exists. One that feeds the board gives it power from now on.

    Raises:
        PowerError: it isn't there, or doesn't work.
    """
    return OPENERS[supply.monitor](supply)
