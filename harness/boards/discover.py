"""What is attached to this computer: debug probes and serial ports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyocd.core import exceptions
from pyocd.core.helpers import ConnectHelper
from serial.tools import list_ports

from harness.errors import LinkError, ProbeError

if TYPE_CHECKING:
    from harness.config import Device


@dataclass(frozen=True, slots=True)
class Probe:
    """A debug probe."""

    uid: str
    description: str


@dataclass(frozen=True, slots=True)
class Port:
    """A serial port; `serial` and `location` are the USB device's, None for a port that isn't USB."""

    path: str
    description: str
    serial: str | None
    location: str | None


def attached_probes() -> list[Probe]:
    """List the probes that pyOCD sees.

    Raises:
        ProbeError: pyOCD can't look.
    """
    try:
        probes = ConnectHelper.get_all_connected_probes(blocking=False)
    except (exceptions.Error, OSError) as error:
        raise ProbeError(f"looking for debug probes failed: {error}") from error
    return [Probe(probe.unique_id, probe.description) for probe in probes]


def attached_ports() -> list[Port]:
    """List the serial ports, USB or not."""
    return [
        Port(port.device, port.description or "", port.serial_number, port.location)
        for port in sorted(list_ports.comports(), key=lambda port: port.device)
    ]


def find_port(device: Device) -> Port:
    """Find the serial port of a configured device, by USB serial number, then by location.

    A device without a port of its own has a probe that is one: then both share the USB serial number.

    Raises:
        LinkError: none matches, or several do.
    """
    ports = attached_ports()
    if device.port is None:
        wanted = f"USB serial number {device.probe} (the probe's)"
        found = [port for port in ports if port.serial is not None and port.serial == device.probe]
    else:
        serial, location = device.port.serial, device.port.location
        wanted = " and ".join(
            text for text in (serial and f"USB serial number {serial}", location and f"location {location}") if text
        )
        found = [
            port
            for port in ports
            if (serial is None or port.serial == serial) and (location is None or port.location == location)
        ]
    if len(found) == 1:
        return found[0]
    seen = ", ".join(f"{port.path} ({port.serial or 'no serial number'})" for port in ports) or "none"
    problem = "no serial port has" if not found else f"{len(found)} serial ports have"
    raise LinkError(f"{device.name}: {problem} {wanted}; attached: {seen}. `hil devices` lists them")
