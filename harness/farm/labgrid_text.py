"""What `labgrid-client` prints, as values: places, resources and reservations."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from harness.errors import FarmError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_PLACE = re.compile(r"^Place '(.*)':$")
_EXPORTER = re.compile(r"^Exporter '(.*)':$")
_GROUP = re.compile(r"^  Group '(.*)' \(.*\):$")
_RESOURCE = re.compile(r"^    Resource '(.*)' \(.*\):$")
_RESERVATION = re.compile(r"^Reservation '(.*)':$")


@dataclass(frozen=True)
class Resource:
    """What an exporter offers.

    `acquired` is the name of the place that has it, `<broken>` if its exporter gave it up, None if it is free.
    `available` is False while the thing itself is unplugged.
    """

    exporter: str
    group: str
    kind: str
    name: str
    acquired: str | None
    available: bool

    @property
    def path(self) -> str:
        """Its name in a place's list: exporter/group/class/name."""
        return f"{self.exporter}/{self.group}/{self.kind}/{self.name}"


@dataclass(frozen=True)
class Place:
    """A place: what can be locked. `acquired` is `host/user` or None, `acquired_resources` are paths."""

    name: str
    tags: Mapping[str, str]
    matches: tuple[str, ...]
    acquired: str | None
    acquired_resources: tuple[str, ...]
    reservation: str | None

    def resources(self, known: Sequence[Resource]) -> list[Resource]:
        """Return those of the known resources that its matches name, as labgrid compares them."""
        return [resource for resource in known if any(_is_match(match, resource) for match in self.matches)]


@dataclass(frozen=True)
class Booking:
    """A reservation in labgrid's queue.

    `state` is waiting, allocated, acquired, expired or invalid; `place` the one that it was given, None before.
    """

    token: str
    owner: str
    state: str
    filters: str
    place: str | None


def parse_places(text: str) -> list[Place]:
    """Read the output of `labgrid-client -v places`.

    Raises:
        FarmError: a place lacks a line that says whether it is acquired.
    """
    return [_place(name, lines) for name, lines in _blocks(text, _PLACE)]


def parse_resources(text: str) -> list[Resource]:
    """Read the output of `labgrid-client -vv resources`.

    Raises:
        FarmError: a resource's fields can't be read.
    """
    found = []
    for exporter, of_exporter in _blocks(text, _EXPORTER):
        for group, of_group in _blocks("\n".join(of_exporter), _GROUP):
            for name, lines in _blocks("\n".join(of_group), _RESOURCE):
                found.append(_resource(exporter, group, name, "\n".join(line.strip() for line in lines)))
    return found


def parse_bookings(text: str) -> list[Booking]:
    """Read the output of `labgrid-client reservations`, `reserve` or `wait` (which names no token in a heading).

    Raises:
        FarmError: one lacks its state.
    """
    blocks: list[dict[str, str]] = []
    last = ""
    for line in text.splitlines():
        key, colon, value = (part.strip() for part in line.partition(":"))
        if not colon or _RESERVATION.match(line):
            continue
        if key == "owner":
            blocks.append({})
        if not blocks:
            continue
        if key == "main":  # stands below "filters:", and again below "allocations:"
            blocks[-1][last] = value
        else:
            blocks[-1][key] = value
            last = key
    for block in blocks:
        if not {"token", "owner", "state"} <= block.keys():
            raise FarmError(_strange("a reservation without token, owner or state", text))
    return [
        Booking(
            token=block["token"],
            owner=block["owner"],
            state=block["state"],
            filters=block.get("filters", ""),
            place=block.get("allocations") or None,
        )
        for block in blocks
    ]


def _blocks(text: str, heading: re.Pattern[str]) -> list[tuple[str, list[str]]]:
    """Cut text at the lines that match, into what the heading names and the lines below."""
    blocks: list[tuple[str, list[str]]] = []
    for line in text.splitlines():
        match = heading.match(line)
        if match is not None:
            blocks.append((match[1], []))
        elif blocks:
            blocks[-1][1].append(line)
    return blocks


def _place(name: str, lines: Sequence[str]) -> Place:
    fields: dict[str, str] = {}
    lists: dict[str, list[str]] = {"matches": [], "acquired resources": []}
    current = ""
    for line in lines:
        if line.startswith("    "):
            if current in lists:
                lists[current].append(line.strip().split(" -> ", 1)[0])
            continue
        key, _, value = line.strip().partition(":")
        current = key
        fields[key] = value.strip()  # the last one counts: a comment of several lines stands above the real ones
        if key in lists:
            lists[key] = []
    if "acquired" not in fields:
        raise FarmError(_strange(f"place {name} without the line acquired", "\n".join(lines)))
    return Place(
        name=name,
        tags=_tags(fields.get("tags", "")),
        matches=tuple(lists["matches"]),
        acquired=None if fields["acquired"] == "None" else fields["acquired"],
        acquired_resources=tuple(lists["acquired resources"]),
        reservation=fields.get("reservation") or None,
    )


def _tags(text: str) -> dict[str, str]:
    tags: dict[str, str] = {}
    key = ""
    for part in text.split(", ") if text else []:
        name, equals, value = part.partition("=")
        if equals:
            key = name
            tags[key] = value
        elif key:  # a comma within a value
            tags[key] += f", {part}"
    return tags


def _resource(exporter: str, group: str, name: str, text: str) -> Resource:
    try:
        data = ast.literal_eval(text)
        return Resource(exporter, group, str(data["cls"]), name, data["acquired"] or None, bool(data["avail"]))
    except (ValueError, SyntaxError, TypeError, KeyError) as error:
        raise FarmError(_strange(f"resource {exporter}/{group}/{name}", text)) from error


def _is_match(pattern: str, resource: Resource) -> bool:
    """Compare as labgrid does: shell patterns for exporter, group, class and, where given, name."""
    parts = pattern.split("/")
    path = (resource.exporter, resource.group, resource.kind, resource.name)
    return len(parts) in {3, 4} and all(fnmatchcase(value, part) for value, part in zip(path, parts, strict=False))


def _strange(what: str, text: str) -> str:
    return (
        f"labgrid-client printed {what}, which this version of the harness can't read (labgrid 26.0 is what it was "
        f"tested with): {text[:300]!r}"
    )
