"""`hil devices --add`: what is attached and new, written into devices.yaml."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.boards.discover import Port, Probe, attached_ports, attached_probes
from harness.boards.matching import (
    Candidate,
    candidates,
    kind_of,
    match_devices,
    port_key,
    probe_key,
    unmatched,
    usb_name,
)
from harness.config.edit import add_device, device_yaml
from harness.errors import ConfigError, ProbeError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.config import Lab


@dataclass(frozen=True)
class Attached:
    """What is attached to this computer; `problem` says why there may be more probes."""

    probes: Sequence[Probe]
    ports: Sequence[Port]
    problem: str | None

    @classmethod
    def look(cls) -> Attached:
        """List the probes and the USB serial ports."""
        probes, problem = list[Probe](), None
        try:
            probes = list(attached_probes())
        except ProbeError as error:
            problem = str(error)
        # A port that isn't USB (a PC's own /dev/ttyS0) can't be a board's.
        return cls(probes, [port for port in attached_ports() if port.serial or port.location], problem)


@dataclass(frozen=True)
class Wish:
    """What the user said about the board to add; None where nothing was said."""

    name: str | None = None
    kind: str | None = None
    probe: str | None = None
    port: str | None = None


def uid(candidate: Candidate) -> str:
    """Return what names the board on the command line."""
    if candidate.probe is not None:
        return candidate.probe.uid
    return f"(--port {candidate.port.path})" if candidate.port else "ID"


def entry_for(
    lab: Lab, candidate: Candidate, kind: str, attached: Attached
) -> tuple[dict[str, object], dict[str, str]]:
    """Return a device's keys for devices.yaml, and what to say behind them."""
    entry: dict[str, object] = {"kind": kind}
    told = kind_of(candidate.port) == kind
    comments: dict[str, str] = {}
    for key, item in (("probe", candidate.probe), ("port", candidate.port)):
        if item is None:
            continue
        name = probe_key(item, attached.probes) if isinstance(item, Probe) else port_key(item, attached.ports)
        if name is not None:
            entry[key] = name
            comments[key] = usb_name(item.usb, item.description)
    flasher = _port_flasher(lab, kind) if candidate.probe is None else None
    if flasher != "avrdude" and (told or flasher == "arduino"):
        entry["link"] = "usb"
        comments["link"] = "that port is the board's own USB"
    if candidate.probe is not None and candidate.port is None and not candidate.choices:
        entry["link"] = "probe"
        comments["link"] = "no serial port is attached: the probe carries inputs and outputs, too"
    if flasher is not None:
        entry["flasher"] = flasher
        comments["flasher"] = "by the board's bootloader, through the same cable"
    return entry, comments


def _port_flasher(lab: Lab, kind: str | None) -> str | None:
    """Return what flashes a kind without a probe, None if nothing known does."""
    return next((known.port_flasher for known in lab.kinds if known.name == kind), None)


def kind_for(lab: Lab, candidate: Candidate, wanted: str | None) -> str | None:
    """Return the kind that was asked for, or that USB tells; None if it doesn't."""
    if wanted is not None:
        return lab.kind(wanted).name
    told = kind_of(candidate.port)
    return told if told in [kind.name for kind in lab.kinds] else None


def new_name(lab: Lab, kind: str, taken: Sequence[str]) -> str:
    """Return the first free name of the form KIND-a."""
    used = {device.name for device in lab.devices} | set(taken)
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    return next(name for name in (f"{kind}-{a}{b}" for a in ("", *letters) for b in letters) if name not in used)


def add_attached(lab: Lab, wish: Wish) -> None:
    """Write boards that are attached and not configured into devices.yaml.

    Without a name all of which it is certain what they are, else the one that is meant.

    Raises:
        ConfigError: none is attached, it isn't certain which is meant, or the file can't take it.
    """
    attached = Attached.look()
    matches = match_devices(lab.devices, attached.probes, attached.ports)
    probes, ports = unmatched(matches, attached.probes, attached.ports)
    found = _wished(candidates(probes, ports), wish, attached, ports)
    if not found:
        raise ConfigError("nothing to add: every attached board is configured, or none is; `hil devices` shows all")
    if wish.name is not None and len(found) > 1:
        boards = ", ".join(uid(candidate) for candidate in found)
        raise ConfigError(f"{len(found)} boards could be {wish.name}; say which with --probe ID: {boards}")
    path = lab.path or Path("devices.yaml")
    names: list[str] = []
    for candidate in found:
        kind = kind_for(lab, candidate, wish.kind)
        problem = _problem(lab, candidate, kind, attached)
        if problem is not None:
            if len(found) == 1:
                raise ConfigError(f"{_what(candidate)} was not added: {problem}")
            click.echo(f"Not added: {_what(candidate)}: {problem}")
            continue
        names.append(wish.name or new_name(lab, str(kind), names))
        entry, comments = entry_for(lab, candidate, str(kind), attached)
        add_device(path, names[-1], entry, comments)
        click.echo(f"Added to {path}:\n{device_yaml(names[-1], entry, comments)}", nl=False)
    if not names:
        raise ConfigError("nothing was added")
    click.echo(f"Check it with: hil doctor --device {names[0]}")


def _wished(found: Sequence[Candidate], wish: Wish, attached: Attached, free: Sequence[Port]) -> list[Candidate]:
    """Keep the candidates that the user means, with the port that was chosen."""
    chosen = list(found)
    if wish.probe is not None:
        chosen = [
            candidate
            for candidate in chosen
            if (probe := candidate.probe) is not None
            and wish.probe in (probe.uid, probe.location, probe_key(probe, attached.probes))
        ]
        if not chosen:
            raise ConfigError(f"no probe {wish.probe} is attached that isn't configured; `hil devices` lists them")
    if wish.port is None:
        return chosen
    ports = [port for port in attached.ports if wish.port in (port.path, port.serial, port.location)]
    if len(ports) != 1:
        raise ConfigError(f"{len(ports)} attached ports are {wish.port}; `hil devices` lists them")
    if not chosen and wish.probe is None and ports[0] in free:
        chosen = [Candidate(None, ports[0], "you said so")]
    if len(chosen) > 1:
        named = [candidate for candidate in chosen if ports[0] in (candidate.port, *candidate.choices)]
        chosen = named or chosen
    return [replace(candidate, port=ports[0], choices=(), why="you said so") for candidate in chosen]


def _what(candidate: Candidate) -> str:
    item = candidate.probe or candidate.port
    return usb_name(item.usb, item.description) if item else "the board"


def _problem(lab: Lab, candidate: Candidate, kind: str | None, attached: Attached) -> str | None:
    """Say why a candidate can't be written down, None if it can."""
    if candidate.choices:
        ports = ", ".join(port.path for port in candidate.choices)
        return f"{candidate.why}; say which port is the board's with --probe {uid(candidate)} --port: {ports}"
    if kind is None:
        return f"nothing says which kind of board it is; add --kind KIND: {', '.join(kind.name for kind in lab.kinds)}"
    probe, port = candidate.probe, candidate.port
    if probe is None and _port_flasher(lab, kind) is None:
        return (
            f"it has no debug probe, and nothing is known that flashes a {kind} without one; connect a probe, or write "
            "the device by hand with `flasher: {command: ...}`"
        )
    if probe is None and port is None:
        return candidate.why
    lost = ["probe"] if probe is not None and probe_key(probe, attached.probes) is None else []
    if port is not None and port_key(port, attached.ports) is None:
        lost.append(f"port {port.path}")
    lost_text = " and ".join(lost)
    return f"its {lost_text} can't be found again: no serial number of its own, no known location" if lost else None
