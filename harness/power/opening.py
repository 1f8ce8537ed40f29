"""From the `power:` key of a device to an open power monitor, real or simulated."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, cast

from serial.tools import list_ports

from harness.errors import PowerError
from harness.power.joulescope import Joulescope, load_driver
from harness.power.lpm01a import USB_ID as LPM01A_USB
from harness.power.lpm01a import Lpm01a
from harness.power.ppk2 import USB_ID as PPK2_USB
from harness.power.ppk2 import Ppk2
from harness.power.virtual.activity import CURRENTS, NRF52840, BoardActivity
from harness.power.virtual.lpm01a import VirtualLpm01a
from harness.power.virtual.ppk2 import VirtualPpk2

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from serial.tools.list_ports_common import ListPortInfo

    from harness.boards.base import Board
    from harness.boards.opening import OnTwin
    from harness.config.power import PowerSupply
    from harness.power.base import Monitor
    from harness.power.serial_monitor import SerialMonitor

_NOTE: Final = f"SIMULATED, one cycle per instruction at 64 MHz. {NRF52840.source}"


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


def _ppk2(port: str, serial: str, supply: PowerSupply) -> SerialMonitor:
    return Ppk2(port, serial, supply.voltage_v, supply.mode, simulated=supply.simulated)


def _lpm01a(port: str, serial: str, supply: PowerSupply) -> SerialMonitor:
    binary = supply.format == "binary"
    return Lpm01a(port, serial, supply.voltage_v, supply.rate_hz, binary=binary, simulated=supply.simulated)


@dataclass(frozen=True)
class SerialKind:
    """A kind of monitor with a serial port.

    Attributes:
        usb: its USB vendor and product.
        open: opens it, from its port, its USB serial number and the `power:` key.
        twin: what stands for it where there is none: it is given what the board does, and the noise in ampere.
    """

    usb: tuple[int, int]
    open: Callable[[str, str, PowerSupply], SerialMonitor]
    twin: Callable[..., Any]


SERIAL_MONITORS: Final = {
    "ppk2": SerialKind(PPK2_USB, _ppk2, VirtualPpk2),
    "lpm01a": SerialKind(LPM01A_USB, _lpm01a, VirtualLpm01a),
}


def open_monitor(supply: PowerSupply, board: Board) -> Monitor:
    """Open the power monitor of a board.

    Raises:
        PowerError: it isn't there, doesn't work, or can't measure this board.
    """
    if supply.simulated:
        if board.backend != "virtual":
            raise PowerError(f"{board.name}: a simulated {supply.monitor} sees virtual boards only, not a real one")
        currents = CURRENTS.get(board.kind.twin or "")
        if currents is None:
            raise PowerError(
                f"{board.name}: what a {board.kind.mcu} draws isn't known here, so that there is no simulated "
                f"{supply.monitor} for it"
            )
        return _open_simulated(supply, BoardActivity(cast("OnTwin", board).twin, currents, supply.sync_input))
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
    if supply.monitor == "joulescope":
        return Joulescope(load_driver(), supply.serial, supply.voltage_v, supply.rate_hz, supply.sync_input)
    kind = SERIAL_MONITORS[supply.monitor]
    port = find_monitor(supply.monitor, kind.usb, supply.serial, list_ports.comports())
    return kind.open(port.path, port.serial, supply)


def _open_simulated(supply: PowerSupply, activity: BoardActivity) -> Monitor:
    """Open the real host code on a device that doesn't exist; who closes one closes the other."""
    kind = SERIAL_MONITORS[supply.monitor]
    try:
        device = kind.twin(activity, noise_a=NRF52840.noise_a)
    except (ImportError, AttributeError, OSError) as error:
        raise PowerError("simulated power monitors need pseudo-terminals, which this system hasn't") from error
    device.start()
    try:
        monitor = kind.open(device.port, "", supply)
    except PowerError:
        device.close()
        raise
    monitor.info = replace(monitor.info, note=_NOTE)
    monitor.when_closed = device.close
    return monitor
