"""USB as pyOCD, libusb and pyserial would report it: the one thing that can't be had without a board."""

from __future__ import annotations

from types import SimpleNamespace

import libusb_package
from pyocd.core.helpers import ConnectHelper
from pyocd.probe.pydapaccess.interface.common import generate_device_unique_id
from serial.tools import list_ports
from serial.tools.list_ports_common import ListPortInfo


class UsbBus:
    """What is plugged in. Addresses are given anew at each plugging, as Linux does."""

    def __init__(self, monkeypatch):
        self.probes, self.devices, self.ports = [], [], []
        self._address = 3
        monkeypatch.setattr(ConnectHelper, "get_all_connected_probes", lambda **_: list(self.probes))
        monkeypatch.setattr(libusb_package, "find", lambda **_: list(self.devices))
        monkeypatch.setattr(list_ports, "comports", lambda: list(self.ports))

    def plug(self, location, usb, serial=None, *, probe=None, tty=(), uid=None):
        """Plug in a device that is a probe of that name, has serial ports, or both."""
        self._address += 1
        bus, _, path = location.partition("-")
        numbers = tuple(map(int, path.split(".")))
        self.devices.append(
            SimpleNamespace(
                idVendor=usb[0],
                idProduct=usb[1],
                bus=int(bus),
                address=self._address,
                port_numbers=numbers,
                serial_number=serial,
                product=probe or "a port",
            )
        )
        if probe is not None:
            made_up = generate_device_unique_id(usb[1], usb[0], int(bus), self._address)
            unique_id = uid if uid is not None else serial or made_up
            self.probes.append(SimpleNamespace(unique_id=unique_id, description=probe))
        for number, name in enumerate(tty):
            port = ListPortInfo(f"/dev/{name}")
            port.vid, port.pid = usb
            port.serial_number = serial
            composite = probe is not None or len(tty) > 1
            port.location = f"{location}:1.{number}" if composite else location
            port.product = probe or "a port"
            port.apply_usb_info()
            self.ports.append(port)

    def unplug_all(self):
        for things in (self.probes, self.devices, self.ports):
            things.clear()
