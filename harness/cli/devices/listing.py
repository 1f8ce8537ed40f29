"""`hil devices`: the tables of what is configured and what is attached, and what that means for a newcomer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from harness.boards.matching import DeviceMatch, candidates, kind_of, match_devices, port_key, unmatched, usb_name
from harness.cli.devices.adding import Attached, entry_for, kind_for, new_name, uid
from harness.cli.tables import print_table
from harness.config.edit import device_yaml
from harness.config.remote import probe_address
from harness.config.state import hostname
from harness.errors import HilError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.boards.discover import Port, Probe
    from harness.config import Lab


def show_devices(lab: Lab) -> None:
    """Print the lab, the kinds, and the probes and ports of this computer."""
    attached = Attached.look()
    matches = match_devices(lab.devices, attached.probes, attached.ports)
    if matches:
        configured = ("name", "kind", "link", "probe", "port", "host", "tags")
        print_table(f"Devices ({lab.path})", configured, map(_device_row, matches))
    else:
        click.echo(f"Devices: none are configured ({lab.path or 'there is no devices.yaml here'}).\n")
    kinds = [
        (kind.name, kind.title, kind.mcu, f"{kind.clock_hz / 1e6:g} MHz", "yes" if kind.twin else "no")
        for kind in lab.kinds
    ]
    print_table("Kinds of boards", ("name", "board", "MCU", "clock", "virtual"), kinds)
    if attached.probes:
        rows = [
            (probe.uid, usb_name(probe.usb, probe.description), probe.location, _owner(probe, matches))
            for probe in attached.probes
        ]
        print_table("Attached debug probes", ("unique id", "probe", "location", "device"), rows)
    if attached.ports:
        port_rows = [
            (port.path, usb_name(port.usb, port.description), port.serial, port.location, _owner(port, matches))
            for port in attached.ports
        ]
        columns = ("port", "what", "serial number", "location", "device")
        print_table("Attached serial ports (USB)", columns, port_rows)
    _print_addable(lab, attached, matches)
    _print_places(lab)
    click.echo(_conclusion(lab, attached, matches))


def _print_places(lab: Lab) -> None:
    """Print who has the places of the devices that have one in labgrid."""
    places = [(device.name, device.labgrid) for device in lab.devices if device.labgrid is not None]
    if not places:
        return
    from harness.farm.labgrid import Labgrid

    rows = []
    for name, place in places:
        try:
            rows.append((name, place, Labgrid(lab.farm.labgrid).holder(place) or "nobody"))
        except HilError as error:
            rows.append((name, place, f"unknown: {error}"))
    print_table("Places in labgrid", ("device", "place", "held by"), rows)


def _device_row(match: DeviceMatch) -> tuple[str | None, ...]:
    device = match.device
    probe = None if device.backend is None else f"{device.backend} board"
    if device.probe is not None:
        afar = probe_address(device.probe) is not None
        state = "another computer's" if afar else _state([found.location or "attached" for found in match.probes])
        probe = f"{device.probe} ({state})"
    port = None
    if device.port is not None:
        port = str(device.port)
        if device.port.url is None:
            port += f" ({_state([found.path for found in match.ports])})"
    elif device.probe is not None and device.link == "uart":
        port = f"the probe's ({_state([found.path for found in match.ports])})"
    host = None if device.host is None else f"{device.host}{' (this one)' * (device.host == hostname())}"
    return device.name, device.kind.name, device.link, probe, port, host, ", ".join(device.tags) or None


def _state(found: Sequence[str]) -> str:
    if not found:
        return "not attached"
    text = ", ".join(found)
    if len(found) > 1:
        return f"ambiguous: {text}"
    return text if text == "attached" or text.startswith("/") else f"attached: {text}"


def _owner(item: Probe | Port, matches: Sequence[DeviceMatch]) -> str | None:
    names = [match.device.name for match in matches if item in match.probes or item in match.ports]
    return ", ".join(names) or None


def _print_addable(lab: Lab, attached: Attached, matches: Sequence[DeviceMatch]) -> None:
    """Print the YAML of each board that is attached and not configured."""
    found = candidates(*unmatched(matches, attached.probes, attached.ports))
    if not found:
        return
    click.echo(f"Attached and not in {lab.path or 'devices.yaml'}; `hil devices --add` writes what is certain:\n")
    names: list[str] = []
    click.echo("devices:")
    for candidate in found:
        kind = kind_for(lab, candidate, None)
        names.append(new_name(lab, kind or "board", names))
        entry, comments = entry_for(lab, candidate, kind or "KIND", attached)
        if kind is None:
            comments["kind"] = "nothing attached says which kind; choose one of the table above"
        click.echo(device_yaml(names[-1], entry, comments), nl=False)
        for port in candidate.choices:
            key = port_key(port, attached.ports)
            text = ", ".join(f'{part}: "{word}"' for part, word in key.items()) if key else "can't be named: no serial"
            click.echo(f"    # port: {{{text}}}  # {port.path}, {usb_name(port.usb, port.description)}?")
        click.echo(f"    # {candidate.why}")
        if candidate.choices:
            click.echo(f"    # choose one: hil devices --add {names[-1]} --probe {uid(candidate)} --port PORT")
    click.echo()


def _conclusion(lab: Lab, attached: Attached, configured: Sequence[DeviceMatch]) -> str:
    """Say what follows, for someone who sees this for the first time."""
    virtual = [kind.name for kind in lab.kinds if kind.twin]
    example = f"--device {'nano33' if 'nano33' in virtual else [*virtual, 'NAME'][0]}"
    if attached.problem is not None:
        return f"Debug probes could not be listed: {attached.problem}\n`hil doctor` says more."
    if not attached.probes and not attached.ports and not any(match.ports for match in configured):
        return (
            "No board is attached to this computer: no debug probe and no USB serial port was found.\n"
            f"That is fine: `pytest suites/ {example}` will use the virtual board, which runs the same firmware\n"
            "in an emulator and counts instructions instead of time. If you did connect a board: use a USB cable\n"
            "that carries data (many only charge), then run this again; `hil doctor` checks permissions."
        )
    unknown = [probe.uid for probe in unmatched(configured, attached.probes, ())[0]]
    if unknown:
        return f"Not in devices.yaml: probe {', '.join(unknown)}. Until then `{example}` uses the virtual board."
    if not attached.probes and not any(match.ports for match in configured):
        if any(kind_of(port) is not None for port in attached.ports):
            return f"A board is attached by its own USB: `hil devices --add` makes `{example}` use it."
        return (
            "A serial port is attached, but no debug probe, and no USB of a board that needs none. Plug in such a "
            "board, or a probe, or give a command that flashes the board (`flasher` in devices.yaml); until one is "
            f"configured, `{example}` uses the virtual board."
        )
    return ""
