"""What a run must hold to use a board: its probe, its port, or the name of a virtual one."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from harness.boards.discover import attached_ports, find_port, find_probe
from harness.boards.matching import port_key
from harness.config.remote import port_address, probe_address, spelled
from harness.locks.lease import Lease

if TYPE_CHECKING:
    from harness.boards.base import Backend
    from harness.boards.discover import Probe
    from harness.config import Device
    from harness.locks.holder import Holder


def probe_lease(device: Device, probe: Probe) -> Lease:
    """Return the lease of an attached probe, by its serial number, else by its place."""
    address = probe_address(probe.uid)
    if address is not None:
        return Lease(device.name, "probe", spelled(address), kind=device.kind.name)
    key = probe.uid.lower() if probe.serial else probe.location or probe.uid  # programs spell ids in either case
    return Lease(device.name, "probe", key, kind=device.kind.name)


def port_lease(device: Device) -> Lease:
    """Return the lease of a device's serial port, by USB serial number, else by location, or by its address.

    That of another computer's port keeps away runs of this computer only.

    Raises:
        LinkError: the port isn't attached.
    """
    if device.port is not None and device.port.url is not None:
        return Lease(device.name, "port", spelled(port_address(device.port.url)), kind=device.kind.name)
    port = find_port(device)
    key = port_key(port, attached_ports()) or {"path": port.path}
    return Lease(device.name, "port", " at ".join(key.values()), kind=device.kind.name)


def leases_of(device: Device, backend: Backend) -> tuple[Lease, ...]:
    """Return what a run must hold to use a device on a backend.

    Raises:
        BoardError: its probe or its port isn't attached.
    """
    if backend == "virtual":
        lease = virtual_lease(device)
        return () if lease is None else (lease,)
    if backend == "renode":
        return ()
    probe = () if device.probe is None else (probe_lease(device, find_probe(device)),)
    if probe and device.link != "uart":  # the port of USB is there only while firmware runs
        return probe
    return (*probe, port_lease(device))


def virtual_lease(device: Device) -> Lease | None:
    """Return the lease of a virtual board that devices.yaml configures; None where each process has its own."""
    if device.backend != "virtual":
        return None
    return Lease(device.name, "virtual", virtual_key(device), kind=device.kind.name)


def virtual_key(device: Device) -> str:
    """Return what tells a virtual board from others: its name, and which devices.yaml that stands in."""
    lab = "" if device.lab is None else str(device.lab)
    return f"{device.name} of {hashlib.sha256(lab.encode()).hexdigest()[:12]}"


def is_on(holder: Holder, device: Device) -> bool:
    """Tell whether a lease is on a device; another devices.yaml may give it another name."""
    if holder.what == "virtual" or device.backend == "virtual":
        return holder.what == "virtual" and device.backend == "virtual" and holder.key == virtual_key(device)
    named = {holder.device} if device.hardware else set()
    names = {holder.key, *holder.key.split(" at ")} | named
    own = {device.name}
    if device.probe is not None:
        address = probe_address(device.probe)
        own |= {device.probe.removeprefix("usb:"), device.probe if address is None else spelled(address)}
    if device.port is not None:
        own |= {word for word in (device.port.serial, device.port.location) if word is not None}
        own |= set() if device.port.url is None else {spelled(port_address(device.port.url))}
    return not {name.lower() for name in names}.isdisjoint(word.lower() for word in own)
