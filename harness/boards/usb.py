"""The USB devices of this computer: where each is plugged in, and whether it may be opened."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import libusb_package
from usb.core import USBError

_INTERFACES = 8


@dataclass(frozen=True, slots=True)
class UsbDevice:
    """A USB device.

    Attributes:
        vid: the vendor's id.
        pid: the product's id.
        bus: number of the USB bus.
        address: on the bus; another one each time that the device is plugged in.
        location: where it is plugged in, as pyserial writes it: `1-1.2`.
        serial: its serial number; None if it has none or it can't be read.
        product: its name; "" if it can't be read.
    """

    vid: int
    pid: int
    bus: int
    address: int
    location: str
    serial: str | None
    product: str

    @property
    def node(self) -> Path:
        """The device file, on Linux."""
        return Path(f"/dev/bus/usb/{self.bus:03d}/{self.address:03d}")

    @property
    def denied(self) -> bool:
        """Whether this user may not open it (told on Linux only)."""
        return sys.platform == "linux" and self.node.exists() and not os.access(self.node, os.R_OK | os.W_OK)

    def made_up_ids(self) -> set[str]:
        """Return the ids that pyOCD may give to this device if it has no serial number."""
        from pyocd.probe.pydapaccess.interface.common import generate_device_unique_id  # noqa: PLC0415 - slow

        ids = {generate_device_unique_id(self.pid, self.vid, self.bus, self.address)}
        for interface in range(_INTERFACES):
            for path in (f"{self.location}:1.{interface}", f"{self.bus:04x}:{self.address:04x}:{interface:02x}"):
                ids.add(generate_device_unique_id(self.vid, self.pid, path))
        return ids


def usb_devices() -> list[UsbDevice]:
    """List the USB devices; none where the system doesn't let us look."""
    try:
        found = list(libusb_package.find(find_all=True) or ())
    except (USBError, ValueError, OSError):  # ValueError: no libusb backend for this platform
        return []
    return [_describe(device) for device in found]


def _describe(device: Any) -> UsbDevice:
    ports = device.port_numbers or ()
    location = f"{device.bus}-{'.'.join(map(str, ports))}" if ports else f"usb{device.bus}"
    folder = Path("/sys/bus/usb/devices") / location
    return UsbDevice(
        vid=device.idVendor,
        pid=device.idProduct,
        bus=device.bus,
        address=device.address,
        location=location,
        serial=_text(device, "serial_number", folder / "serial"),
        product=_text(device, "product", folder / "product") or "",
    )


def _text(device: Any, name: str, file: Path) -> str | None:
    """Read a name that the device gives itself. Linux tells it without permission for the device."""
    try:
        return file.read_text(encoding="utf-8", errors="replace").strip() or None
    except OSError:
        pass
    try:
        return getattr(device, name) or None
    except (USBError, ValueError, NotImplementedError):  # may not be opened, or has no text to give
        return None
