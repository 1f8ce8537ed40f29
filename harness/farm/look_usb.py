"""Which configured boards of this host aren't attached to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.boards.discover import BY_LOCATION, attached_ports, attached_probes
from harness.boards.matching import match_devices
from harness.errors import ProbeError
from harness.farm.state import hostname

if TYPE_CHECKING:
    from harness.config import Device, Lab


def missing_boards(lab: Lab) -> dict[str, str]:
    """Return why boards of this host can't be reached, by name; none if that can't be told.

    It lists what is plugged in, as each run does when it begins, and opens nothing.
    """
    here = [device for device in lab.devices if device.hardware and device.host in (None, hostname())]
    if not here:
        return {}
    try:
        matches = match_devices(here, attached_probes(), attached_ports())
    except (ProbeError, OSError):
        return {}
    missing = {}
    for match in matches:
        device = match.device
        if device.probe is not None and not match.probes and _listable(device):
            missing[device.name] = f"its probe {device.probe} is not attached"
        elif device.port is not None and not match.ports:
            missing[device.name] = "its serial port is not attached"
    return missing


def _listable(device: Device) -> bool:
    """Whether a probe would be in the list: one with pyOCD's type in front, like `remote:HOST`, is not."""
    probe = device.probe or ""
    return ":" not in probe or probe.startswith(BY_LOCATION)
