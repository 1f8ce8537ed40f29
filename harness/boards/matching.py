"""Which attached probes and ports belong to which device, and which could be a new one. Nothing is guessed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.boards.discover import (
    ARDUINO_APPLICATION,
    ARDUINO_BOOTLOADER,
    BY_LOCATION,
    UNO,
    Port,
    Probe,
    matching_ports,
    matching_probes,
    same_serial,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from harness.config import Device

#: USB devices worth naming: what they are, and the kind of board if they are one.
KNOWN_USB: dict[tuple[int, int], tuple[str, str | None]] = {
    ARDUINO_APPLICATION: ("Arduino Nano 33 BLE", "nano33"),
    ARDUINO_BOOTLOADER: ("Arduino Nano 33 BLE in its bootloader", "nano33"),
    **dict.fromkeys(UNO, ("Arduino Uno", "uno")),
    (0x1A86, 0x7523): ("CH340", None),
    (0x2E8A, 0x000C): ("Raspberry Pi Debug Probe", None),
    (0x0D28, 0x0204): ("DAPLink", None),
}


def usb_name(usb: tuple[int, int] | None, description: str) -> str:
    """Name a USB device, with its ids if they are known."""
    if usb is None:
        return description
    known = KNOWN_USB.get(usb)
    return f"{known[0] if known else description} ({usb[0]:04x}:{usb[1]:04x})"


@dataclass(frozen=True)
class DeviceMatch:
    """A configured device and what of it is attached: one of each, if all is well."""

    device: Device
    probes: tuple[Probe, ...]
    ports: tuple[Port, ...]


@dataclass(frozen=True)
class Candidate:
    """A board that is attached and not configured.

    Attributes:
        probe: its debug probe, if there is one.
        port: its serial port; None if it has none, or it can't be told which one it is.
        why: why these two belong together, or why no port is named.
        choices: the ports that it could be, where there are several.
    """

    probe: Probe | None
    port: Port | None
    why: str
    choices: tuple[Port, ...] = ()


def match_devices(devices: Iterable[Device], probes: Sequence[Probe], ports: Sequence[Port]) -> list[DeviceMatch]:
    """Find what of each device is attached."""
    return [
        DeviceMatch(device, tuple(matching_probes(device, probes)), tuple(matching_ports(device, ports)))
        for device in devices
    ]


def unmatched(
    matches: Iterable[DeviceMatch], probes: Sequence[Probe], ports: Sequence[Port]
) -> tuple[list[Probe], list[Port]]:
    """Return the probes and ports that no configured device claims."""
    taken = [item for match in matches for item in (*match.probes, *match.ports)]
    return [probe for probe in probes if probe not in taken], [port for port in ports if port not in taken]


def candidates(probes: Sequence[Probe], ports: Sequence[Port]) -> list[Candidate]:
    """Say which boards the unmatched probes and ports could be.

    A probe and a port on one USB device belong together. Apart from that they are paired only if no other pair is
    possible.
    """
    own = {index: [port for port in ports if _one_device(probe, port)] for index, probe in enumerate(probes)}
    claims = Counter(port.path for found in own.values() for port in found)
    free = [port for port in ports if not claims[port.path]]
    loose = sum(not found for found in own.values())
    return [_pair(probe, own[index], claims, free, loose) for index, probe in enumerate(probes)] + [
        Candidate(None, port, "no debug probe is attached that could be this board's")
        for port in free
        if not loose and kind_of(port) is not None
    ]


def _pair(probe: Probe, own: Sequence[Port], claims: Counter[str], free: Sequence[Port], loose: int) -> Candidate:
    if len(own) == 1 and claims[own[0].path] == 1:
        return Candidate(probe, own[0], "probe and port are one USB device")
    if own:
        why = "several ports or probes share this USB serial number" if len(own) == 1 else "the probe has several ports"
        return Candidate(probe, None, why, tuple(own))
    if not free:
        return Candidate(probe, None, "no serial port is attached that could be this board's")
    if len(free) == 1 and loose == 1:
        return Candidate(probe, free[0], "no other probe and port are left")
    return Candidate(probe, None, f"{loose} probes and {len(free)} ports could belong together", tuple(free))


def _one_device(probe: Probe, port: Port) -> bool:
    if probe.location is not None and port.location is not None:
        return port.location.partition(":")[0] == probe.location
    return probe.serial is not None and port.serial is not None and same_serial(probe.serial, port.serial)


def kind_of(port: Port | None) -> str | None:
    """Return the kind of board that a port tells by its USB ids, None if it doesn't."""
    return KNOWN_USB.get(port.usb, ("", None))[1] if port is not None and port.usb is not None else None


def probe_key(probe: Probe, probes: Sequence[Probe]) -> str | None:
    """Return what to write for `probe:`, None if nothing would find this one again.

    Args:
        probe: the one that is meant.
        probes: every probe that is attached.
    """
    alike = [other for other in probes if same_serial(other.uid, probe.uid)]
    if probe.serial is not None and len(alike) == 1:
        return probe.uid
    return BY_LOCATION + probe.location if probe.location is not None else None


def port_key(port: Port, ports: Sequence[Port]) -> dict[str, str] | None:
    """Return what to write for `port:`, None if nothing would find this one again.

    Args:
        port: the one that is meant.
        ports: every serial port that is attached.
    """
    if port.serial is not None:
        alike = [other for other in ports if other.serial is not None and same_serial(other.serial, port.serial)]
        if len(alike) == 1:
            return {"serial": port.serial}
        return None if port.location is None else {"serial": port.serial, "location": port.location}
    return None if port.location is None else {"location": port.location}
