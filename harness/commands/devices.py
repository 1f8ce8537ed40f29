"""`hil devices`: what is configured, what ships, and what is attached."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from harness.boards.discover import Port, Probe, attached_ports, attached_probes
from harness.commands.printing import print_table
from harness.errors import ProbeError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.config import Device, Lab


def show_devices(lab: Lab) -> None:
    """Print the lab, the kinds, and the probes and ports of this computer."""
    problem = None
    try:
        probes: Sequence[Probe] = attached_probes()
    except ProbeError as error:
        probes, problem = (), str(error)
    # A port that isn't USB (a PC's own /dev/ttyS0) can't be a board's.
    ports = [port for port in attached_ports() if port.serial or port.location]
    if lab.devices:
        where = str(lab.path)
        rows = [_device_row(device, probes, ports) for device in lab.devices]
        print_table(f"Devices ({where})", ("name", "kind", "probe", "port", "tags"), rows)
    else:
        click.echo(f"Devices: none are configured ({lab.path or 'there is no devices.yaml here'}).\n")
    kinds = [
        (kind.name, kind.title, kind.mcu, f"{kind.clock_hz / 1e6:g} MHz", "yes" if kind.twin else "no")
        for kind in lab.kinds
    ]
    print_table("Kinds of boards", ("name", "board", "MCU", "clock", "virtual"), kinds)
    if probes:
        print_table("Attached debug probes", ("unique id", "probe"), [(p.uid, p.description) for p in probes])
    if ports:
        rows = [(port.path, port.description, port.serial, port.location) for port in ports]
        print_table("Attached serial ports (USB)", ("port", "what", "serial number", "location"), rows)
    click.echo(_conclusion(lab, probes, ports, problem))


def _device_row(device: Device, probes: Sequence[Probe], ports: Sequence[Port]) -> tuple[str | None, ...]:
    probe = None
    if device.probe is not None:
        there = any(found.uid == device.probe for found in probes)
        probe = f"{device.probe} ({'attached' if there else 'not attached'})"
    port = None
    if device.port is not None:
        match = device.port
        paths = [
            found.path
            for found in ports
            if match.serial in (None, found.serial) and match.location in (None, found.location)
        ]
        name = " at ".join(part for part in (match.serial, match.location) if part)
        port = f"{name} ({', '.join(paths) or 'not attached'})"
    return device.name, device.kind.name, probe, port, ", ".join(device.tags) or None


def _conclusion(lab: Lab, probes: Sequence[Probe], ports: Sequence[Port], problem: str | None) -> str:
    """Say what follows, for someone who sees this for the first time."""
    virtual = [kind.name for kind in lab.kinds if kind.twin]
    example = f"--device {virtual[0]}" if virtual else "--device NAME"
    if problem is not None:
        return f"Debug probes could not be listed: {problem}\n`hil doctor` says more."
    if not probes and not ports:
        return (
            "No board is attached to this computer: no debug probe and no USB serial port was found.\n"
            f"That is fine: `pytest suites/ {example}` will use the virtual board, which runs the same firmware\n"
            "in an emulator and counts instructions instead of time. If you did connect a board: use a USB cable\n"
            "that carries data (many only charge), then run this again; `hil doctor` checks permissions."
        )
    unknown = [probe.uid for probe in probes if probe.uid not in {device.probe for device in lab.devices}]
    if unknown:
        return (
            f"Not in devices.yaml: probe {', '.join(unknown)}. Until it is, `{example}` uses the virtual board.\n"
            "Add the board under `devices:` with its kind, `probe:` and `port:`."
        )
    if not probes:
        return (
            "A serial port is attached, but no debug probe, which is needed to flash: "
            f"`{example}` uses the virtual board."
        )
    return ""
