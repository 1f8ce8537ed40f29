"""The devices of devices.yaml and the places of labgrid, side by side."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.farm.labgrid import Labgrid, unknown_place
from harness.locks.state import hostname, username

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from harness.config import Device, Lab
    from harness.farm.labgrid_text import Place, Resource

_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")


@dataclass(frozen=True)
class PlacedDevice:
    """A device with the tags of its place added; `problem` says why labgrid can't share it, None if it can."""

    device: Device
    place: str
    holder: str | None
    exporters: tuple[str, ...]
    problem: str | None


@dataclass(frozen=True)
class UndescribedPlace:
    """A place that is tagged `board=KIND` and exported by this host, but that no device of devices.yaml has."""

    place: str
    kind: str
    exporter: str


@dataclass(frozen=True)
class Inventory:
    """What labgrid knows of the boards of a lab. `lab` is the lab with the tags of the places."""

    lab: Lab
    devices: tuple[PlacedDevice, ...]
    undescribed: tuple[UndescribedPlace, ...]


def inventory(labgrid: Labgrid, lab: Lab, host: str) -> Inventory:
    """Compare a lab with labgrid.

    A place's tag `site=bench` gives its device the tags `site=bench` and `bench`; the bare value only if it is a name
    that means nothing else. An exporter belongs to the host whose name it has (`labgrid-exporter -n`, by default that
    of the computer).

    Args:
        labgrid: whom to ask.
        lab: devices.yaml.
        host: name of this host; the owner of devices for which devices.yaml names none.

    Raises:
        ConfigError: the client isn't installed.
        FarmError: the coordinator can't be reached.
    """
    places = {place.name: place for place in labgrid.places()}
    resources = labgrid.resources()
    kinds = {kind.name for kind in lab.kinds}
    devices = tuple(_placed(device, places, resources, host, _plain(lab)) for device in lab.devices)
    described = {entry.place for entry in devices}
    here = [resource for resource in resources if resource.exporter == host]
    undescribed = tuple(
        UndescribedPlace(place.name, place.tags["board"], host)
        for place in places.values()
        if place.tags.get("board") in kinds and place.name not in described and place.resources(here)
    )
    return Inventory(
        lab=lab.model_copy(update={"devices": tuple(entry.device for entry in devices)}),
        devices=devices,
        undescribed=undescribed,
    )


def ask_inventory(lab: Lab) -> Inventory:
    """Compare a lab whose engine is labgrid with what its coordinator knows.

    Raises:
        ConfigError: the client isn't installed.
        FarmError: the coordinator can't be reached.
    """
    return inventory(Labgrid(lab.farm.labgrid, username()), lab, hostname())


def with_places(lab: Lab, selectors: Sequence[str]) -> Lab:
    """Return a lab whose devices have the tags of their places, if they are needed to tell which devices are meant.

    Args:
        lab: devices.yaml.
        selectors: names of devices, kinds, tags, or "all".

    Raises:
        ConfigError: labgrid's client isn't installed.
        FarmError: its coordinator can't be reached.
    """
    plain = _plain(lab)
    if lab.farm.engine != "labgrid" or set(selectors) <= plain:
        return lab
    return ask_inventory(lab).lab


def _plain(lab: Lab) -> set[str]:
    """Return the selectors that mean the same whatever labgrid says; the tags of a place can't be any of them."""
    return {kind.name for kind in lab.kinds} | {device.name for device in lab.devices} | {"all"}


def _placed(
    device: Device, places: dict[str, Place], resources: Sequence[Resource], host: str, taken: Iterable[str]
) -> PlacedDevice:
    name = device.place or device.name
    place = places.get(name)
    if place is None:
        return PlacedDevice(device, name, None, (), unknown_place(name, sorted(places)))
    exporters = tuple(sorted({resource.exporter for resource in place.resources(resources)}))
    tags = [*device.tags]
    for key, value in sorted(place.tags.items()):
        tags.append(f"{key}={value}")
        if _NAME.match(value) and (value not in taken or value == device.kind.name):
            tags.append(value)
    merged = device.model_copy(update={"tags": tuple(dict.fromkeys(tags))})
    problem = _problem(device, place, exporters, device.host or host)
    return PlacedDevice(merged, name, place.acquired, exporters, problem)


def _problem(device: Device, place: Place, exporters: tuple[str, ...], owner: str) -> str | None:
    board = place.tags.get("board")
    if board is not None and board != device.kind.name:
        return f"place {place.name} is tagged board={board}, but devices.yaml calls {device.name} a {device.kind.name}"
    if not place.matches:
        return f"place {place.name} matches nothing: `labgrid-client -p {place.name} add-match '{owner}/GROUP/*'`"
    if not exporters:
        return (
            f"no exporter offers what place {place.name} matches ({', '.join(place.matches)}): start labgrid-exporter "
            f"on {owner}"
        )
    if owner not in exporters:
        return f"place {place.name} is exported by {', '.join(exporters)}, but {device.name} is attached to {owner}"
    return None
