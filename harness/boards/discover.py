"""What is attached to this computer: debug probes and serial ports."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from serial.tools import list_ports

from harness.boards.remote import why_unreachable
from harness.boards.usb import UsbDevice, usb_devices
from harness.config.remote import probe_address
from harness.errors import LinkError, ProbeError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.config import Device


#: What stands before a location in `probe:`, for a probe without a serial number.
BY_LOCATION = "usb:"
#: The USB ids of a Nano 33 BLE, by what runs on it.
ARDUINO_APPLICATION, ARDUINO_BOOTLOADER = (0x2341, 0x805A), (0x2341, 0x005A)
#: Those of the interface on an Arduino Uno: Rev 3, the first ones, and Rev 3 of Arduino SRL. Clones have interfaces
#: that many other things have, too, like the CH340.
UNO = ((0x2341, 0x0043), (0x2341, 0x0001), (0x2A03, 0x0043))
_PADDING = "0" * 16  # before the board's serial number, in the bootloader
_MADE_UP = re.compile("[A-Z2-7]{32}")


@dataclass(frozen=True, slots=True)
class Probe:
    """A debug probe.

    Attributes:
        uid: what pyOCD knows it by.
        description: what the probe calls itself: maker and model.
        serial: USB serial number; None if it has none, and `uid` was made up by pyOCD for as long as it is plugged in.
        location: where it is plugged in, None if that can't be told.
        usb: vendor and product, None if they can't be told.
    """

    uid: str
    description: str
    serial: str | None = None
    location: str | None = None
    usb: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Port:
    """A serial port; `serial`, `location` and `usb` are the USB device's, None for a port that isn't USB."""

    path: str
    description: str
    serial: str | None
    location: str | None
    usb: tuple[int, int] | None = None

    @property
    def in_bootloader(self) -> bool:
        """Whether it is the port of a board that waits in Arduino's bootloader, in which no firmware answers."""
        return self.usb == ARDUINO_BOOTLOADER

    @classmethod
    def of_usb(
        cls, path: str, usb: tuple[int, int], serial: str, description: str = "", location: str | None = None
    ) -> Port:
        """Describe a port of a USB device; a board has one serial number, whether in its bootloader or not."""
        if usb == ARDUINO_BOOTLOADER:
            serial = serial.removeprefix(_PADDING)
        return cls(path, description, serial or None, location, usb)


def attached_probes() -> list[Probe]:
    """List the probes that pyOCD sees.

    Raises:
        ProbeError: pyOCD can't look.
    """
    found = _ask_pyocd("looking for debug probes failed")
    devices = usb_devices()
    return [_locate(probe.unique_id or "", probe.description, devices) for probe in found]


def probes_for(device: Device) -> list[Probe]:
    """List the probes among which a device's is looked for.

    An id with pyOCD's type in front (`remote:HOST`) names a probe that is in no list, so pyOCD is asked for that one.

    Raises:
        ProbeError: pyOCD can't look.
    """
    probes = attached_probes()
    if device.probe is None or ":" not in device.probe or device.probe.startswith(BY_LOCATION):
        return probes
    address = probe_address(device.probe)
    if address is not None and why_unreachable(address) is not None:
        return probes
    named = _ask_pyocd(f"{device.name}: looking for debug probe {device.probe} failed", device.probe)
    return [*probes, *(Probe(device.probe, probe.description) for probe in named)]


def _ask_pyocd(problem: str, uid: str | None = None) -> Sequence[Any]:
    from pyocd.core import exceptions  # noqa: PLC0415 - pyOCD takes a second to import
    from pyocd.core.helpers import ConnectHelper  # noqa: PLC0415 - as above

    try:
        probes: Sequence[Any] = ConnectHelper.get_all_connected_probes(blocking=False, unique_id=uid)
    except (exceptions.Error, OSError) as error:
        raise ProbeError(f"{problem}: {error}") from error
    return probes


def _locate(uid: str, description: str, devices: Sequence[UsbDevice]) -> Probe:
    """Find the USB device that a probe is, by its serial number, else by the id that pyOCD makes up."""
    for device in devices:
        if device.serial is None and uid in device.made_up_ids():
            return Probe(uid, description, None, device.location, (device.vid, device.pid))
    same = [device for device in devices if device.serial is not None and same_serial(device.serial, uid)]
    serial = uid if uid and not _MADE_UP.fullmatch(uid) else None
    if len(same) != 1:
        return Probe(uid, description, serial)
    return Probe(uid, description, same[0].serial, same[0].location, (same[0].vid, same[0].pid))


def attached_ports() -> list[Port]:
    """List the serial ports, USB or not."""
    return [
        Port(port.device, port.description or "", port.serial_number or None, port.location or None)
        if port.vid is None
        else Port.of_usb(
            port.device,
            (port.vid, port.pid),
            port.serial_number or "",
            port.description or "",
            port.location or None,
        )
        for port in sorted(list_ports.comports(), key=lambda port: port.device)
    ]


def same_serial(one: str, other: str) -> bool:
    """Tell whether two serial numbers are the same: a J-Link's id lacks the leading zeros of its serial number."""
    if one.isdecimal() and other.isdecimal():
        return one.lstrip("0") == other.lstrip("0")
    return one.lower() == other.lower()


def at_location(wanted: str, location: str | None) -> bool:
    """Tell whether a location is the wanted one, or an interface (`1-1.2:1.0`) of the device there."""
    return location is not None and wanted in (location, location.partition(":")[0])


def matching_probes(device: Device, probes: Sequence[Probe]) -> list[Probe]:
    """Return the probes that may be a device's: one, if all is well."""
    if device.probe is None:
        return []
    if device.probe.startswith(BY_LOCATION):
        return [probe for probe in probes if at_location(device.probe.removeprefix(BY_LOCATION), probe.location)]
    return [probe for probe in probes if same_serial(probe.uid, device.probe)]


def matching_ports(device: Device, ports: Sequence[Port]) -> list[Port]:
    """Return the ports that may be a device's: one, if all is well.

    A device without a port of its own has a probe that is one: then both are one USB device. A port of another computer
    is in no list, and may be there or not.
    """
    if device.port is not None and device.port.url is not None:
        return [Port(device.port.url, "on another computer", None, None)]
    if device.port is not None:
        serial, location = device.port.serial, device.port.location
    elif device.probe is None:
        return []
    elif device.probe.startswith(BY_LOCATION):
        serial, location = None, device.probe.removeprefix(BY_LOCATION)
    else:
        serial, location = device.probe, None
    return [
        port
        for port in ports
        if (serial is None or (port.serial is not None and same_serial(port.serial, serial)))
        and (location is None or at_location(location, port.location))
    ]


def missing_probe(device: Device) -> tuple[str, str]:
    """Say that a device's probe isn't there, and what to do."""
    address = probe_address(device.probe)
    if address is None:
        return f"its probe {device.probe} is not attached", "`hil devices` lists what is"
    why = why_unreachable(address) or "it was not there a moment ago"
    remedy = "Does `pyocd server --allow-remote` run there, and does a firewall let it through?"
    return f"its probe {device.probe} can't be reached: {why}", remedy


def find_probe(device: Device, probes: Sequence[Probe] | None = None) -> Probe:
    """Find the debug probe of a configured device, by its id, or by location if it has none.

    Args:
        device: the entry of devices.yaml.
        probes: what is attached; None to look.

    Raises:
        ProbeError: none matches, or more than one does.
    """
    probes = probes_for(device) if probes is None else probes
    found = matching_probes(device, probes)
    if not found:
        what, remedy = missing_probe(device)
        raise ProbeError(f"{device.name}: {what}. {remedy}")
    alike = [probe for probe in probes if probe.uid == found[0].uid]
    if len(found) == 1 and len(alike) == 1:
        return found[0]
    places = ", ".join(probe.location or "an unknown place" for probe in (alike if len(found) == 1 else found))
    raise ProbeError(
        f"{device.name}: several attached probes have the id {found[0].uid!r} (at {places}), and pyOCD can't tell "
        "them apart; unplug all but one"
    )


def find_port(device: Device) -> Port:
    """Find the serial port of a configured device, by USB serial number, then by location.

    Raises:
        LinkError: none matches, or several do.
    """
    ports = attached_ports()
    found = matching_ports(device, ports)
    if len(found) == 1:
        return found[0]
    if probe_address(device.probe) is not None and device.port is None:
        raise LinkError(
            f"{device.name}: its probe is on another computer, so `port: {{url: ...}}` has to say where its port is"
        )
    if device.port is None:
        wanted = f"USB serial number {device.probe} (the probe's)"
    else:
        serial, location = device.port.serial, device.port.location
        wanted = " and ".join(
            text for text in (serial and f"USB serial number {serial}", location and f"location {location}") if text
        )
    attached = ", ".join(f"{port.path} ({port.serial or 'no serial number'})" for port in ports) or "none"
    problem = "no serial port has" if not found else f"{len(found)} serial ports have"
    raise LinkError(f"{device.name}: {problem} {wanted}; attached: {attached}. `hil devices` lists them")


def find_application_port(device: Device) -> Port:
    """Find the serial port at which a device's firmware answers.

    Raises:
        LinkError: as `find_port`, or the board is in its bootloader.
    """
    port = find_port(device)
    refuse_bootloader(device.name, port)
    return port


def refuse_bootloader(board: str, port: Port) -> None:
    """Raise if a port is that of a bootloader.

    Raises:
        LinkError: it is.
    """
    if port.in_bootloader:
        raise LinkError(f"{board}: {port.path} is its bootloader's port; its firmware has not been started")
