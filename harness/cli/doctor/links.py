"""`hil doctor` on the link of each configured device, without opening it: is it there, may it be used, who has it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from harness.boards.discover import matching_ports, matching_probes
from harness.cli.doctor.usb import port_holders
from harness.config.remote import probe_address
from harness.config.state import hostname
from harness.measure.finding import Finding

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from harness.boards.discover import Port, Probe
    from harness.config import Device
    from harness.measure.finding import State

_NO_PORT = {
    "uart": "plug in the serial adapter, or correct `port`; `hil devices` lists what is attached",
    "usb": (
        "plug in the board's own USB. A board whose firmware has no USB, or has stopped, isn't on the bus: flash an "
        "image, or press reset twice, which starts its bootloader"
    ),
}


def configured_links(devices: Iterable[Device], ports: Sequence[Port], probes: Sequence[Probe]) -> Iterator[Finding]:
    """Say of each device of this computer what its link is, and whether it could be used now.

    Args:
        devices: as devices.yaml has them.
        ports: the USB serial ports that are attached.
        probes: the debug probes that are attached.
    """
    for device in devices:
        if device.host in (None, hostname()):
            state, text = _link(device, ports, probes)
            yield Finding(state, f"Link of {device.name}", f"{device.link}: {text}")


def _link(device: Device, ports: Sequence[Port], probes: Sequence[Probe]) -> tuple[State, str]:
    if device.backend == "virtual":
        return "ok", "a virtual board's"
    if not device.hardware:
        return "optional", "neither `probe` nor `port` is configured, so the virtual board is used"
    afar = device.probe if device.link == "probe" else device.port.url if device.port is not None else None
    if afar is not None and (device.link != "probe" or probe_address(afar) is not None):
        return "ok", f"{afar}, of another computer; `hil doctor --device {device.name}` tries it"
    if device.link == "probe":
        return _probe(device, matching_probes(device, probes))
    return _port(device, matching_ports(device, ports))


def _probe(device: Device, found: Sequence[Probe]) -> tuple[State, str]:
    if not found:
        return "optional", f"its probe {device.probe} is not attached, or may not be opened (`Probe permission` above)"
    return "ok", f"{device.probe} is attached; `hil doctor --device {device.name}` measures its rate"


def _port(device: Device, found: Sequence[Port]) -> tuple[State, str]:
    if not found:
        return "optional", f"its port is not there: {_NO_PORT[device.link]}"
    if len(found) > 1:
        paths = ", ".join(port.path for port in found)
        return "problem", f"{paths} could be its port; say which one by `port: {{location: ...}}`"
    path = found[0].path
    if found[0].in_bootloader:
        return "ok", f"{path} is the port of its bootloader, which waits for an image; a run flashes one"
    if os.name == "posix" and not os.access(path, os.R_OK | os.W_OK):
        return "problem", f"no permission for {path}; `Serial ports` above says how to get it"
    for _, program in port_holders({os.path.realpath(path): path}):
        return "problem", f"{path} is open in {program}; end it before a run"
    return "ok", f"{path} is there and may be used; `hil doctor --device {device.name}` measures its rate"
