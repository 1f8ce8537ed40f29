"""Which configured boards of this host aren't attached to it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from harness.boards.discover import BY_LOCATION, attached_ports, attached_probes
from harness.boards.matching import match_devices
from harness.farm.facts import line
from harness.locks.state import is_here

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.config import Device, Lab


@dataclass(frozen=True)
class Unplugged:
    """Why boards of this host can't be reached, by their names; `unknown` is why that can't be told."""

    missing: Mapping[str, str] = field(default_factory=dict)
    unknown: str = ""


def unplugged_boards(lab: Lab) -> Unplugged:
    """Look at what is plugged in, as each run does when it begins; nothing is opened."""
    try:
        return Unplugged(missing_boards(lab))
    except Exception as error:  # noqa: BLE001 (the libraries of USB raise what they like)
        return Unplugged(unknown=line(f"what is plugged in can't be told: {error}"))


def missing_boards(lab: Lab) -> dict[str, str]:
    """Return why boards of this host can't be reached, by name.

    Raises:
        ProbeError: what is plugged in can't be listed.
    """
    here = [device for device in lab.devices if device.hardware and is_here(device)]
    if not here:
        return {}
    missing = {}
    for match in match_devices(here, attached_probes(), attached_ports()):
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
