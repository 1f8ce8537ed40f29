"""A virtual board that the computer takes for a real one: its port is on a USB bus that is data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from serial.tools import list_ports
from serial.tools.list_ports_common import ListPortInfo

from harness.boards.virtual import VirtualNrf52840
from harness.config.access import PowerCycle
from harness.config.lab import PortMatch

if TYPE_CHECKING:
    from pathlib import Path

SERIAL = "42"


class AttachedTwin:
    """A twin behind a probe and a port of USB serial number 42.

    Attributes:
        twin: the virtual board.
        attached: whether the computer sees the port; a function that tells.
        written_blocks: how many blocks of memory the probe has written; flashing does it, nothing else.
        own_cable: whether the port stays while the hub port of the board is off.
        hub_calls: what uhubctl was called with, "off" and "on".
    """

    def __init__(self, monkeypatch, folder: Path) -> None:
        self.twin = VirtualNrf52840("bench")
        self.written_blocks = 0
        self.twin.dap.before_transfer = self._count
        self.attached = lambda: True
        self.own_cable = False
        self._log = folder / "uhubctl.log"
        tool = folder / "power" / "uhubctl"
        tool.parent.mkdir()
        tool.write_text(f'#!/bin/sh\necho "$6" >> {self._log}\n')
        tool.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tool.parent}:/usr/bin:/bin")
        monkeypatch.setattr(list_ports, "comports", self._ports)

    @property
    def hub_calls(self) -> list[str]:
        return self._log.read_text().split() if self._log.exists() else []

    def _count(self, name):
        self.written_blocks += name == "write_block"

    def _ports(self):
        off = self.hub_calls[-1:] == ["off"] and not self.own_cable
        if off or not self.attached():
            return []
        port = ListPortInfo(self.twin.port)
        port.serial_number, port.location = SERIAL, "1-3:1.0"
        return [port]

    def device(self, nano33, **keys):
        """Return the device of a lab, with probe, port and whatever else is said."""
        base = {"name": "bench", "probe": self.twin.probe_uid, "port": PortMatch(serial=SERIAL)}
        return nano33.model_copy(update={**base, **keys})

    @staticmethod
    def hub():
        return PowerCycle.model_validate({"uhubctl": {"location": "1", "port": 3}})
