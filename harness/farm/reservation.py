"""A reservation as it stands in its file, and when its boards are free again."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from harness.locks.state import stamp

if TYPE_CHECKING:
    from collections.abc import Mapping

_OWNER_CHARS = 64
_PURPOSE_CHARS = 200
_CHANGES_KEPT = 100


def clean(text: str, limit: int) -> str:
    """Return text on one line and no longer than `limit`, without what moves a cursor or turns writing around."""
    visible = "".join(letter if letter.isprintable() else " " for letter in text)
    return " ".join(visible.split())[:limit].rstrip()


def clean_owner(name: str) -> str:
    """Return a user's name as reservations hold it. Names are compared in this form."""
    return clean(name, _OWNER_CHARS)


def clean_purpose(text: str) -> str:
    """Return what a board is wanted for, as reservations hold it."""
    return clean(text, _PURPOSE_CHARS)


@dataclass(frozen=True)
class Change:
    """What somebody did to a reservation; `forced` if it wasn't theirs."""

    when: datetime
    by: str
    what: str
    forced: bool = False


@dataclass(frozen=True)
class Reservation:
    """Boards that are lent to somebody for a span of time.

    Attributes:
        id: short name, as in `hil reserve --cancel r17`; that of its file, too.
        owner: the user that it is for.
        selector: what was asked for.
        devices: names of the boards that were booked.
        start: when it begins, a whole minute in UTC.
        end: when it ends, unless it is cancelled or a board is released because nobody came.
        purpose: what for; may be empty.
        created: when it was made.
        ended: when it was cancelled, None if it wasn't.
        used: when its owner first used each board within it.
        changes: what was done to it since.
    """

    id: str
    owner: str
    selector: str
    devices: tuple[str, ...]
    start: datetime
    end: datetime
    purpose: str
    created: datetime
    ended: datetime | None = None
    used: Mapping[str, datetime] = field(default_factory=dict)
    changes: tuple[Change, ...] = ()

    def until(self, device: str, when: datetime, no_show: timedelta) -> datetime:
        """Return when this reservation stops keeping a board from others, as far as is known at `when`.

        That is `start` or earlier if it was cancelled before, or isn't one of its boards. A board that wasn't used
        for `no_show` (zero: for ever) from the start is free from then on, but nobody knows that before.
        """
        if device not in self.devices:
            return self.start
        end = self.end if self.ended is None else min(self.end, self.ended)
        deadline = self.start + no_show
        if no_show and device not in self.used and when >= deadline:
            end = min(end, deadline)
        return end

    def over(self, when: datetime, no_show: timedelta) -> bool:
        """Whether it keeps no board any more at `when`, or from then on."""
        return all(self.until(device, when, no_show) <= max(when, self.start) for device in self.devices)

    def changed(self, change: Change, **fields: Any) -> Reservation:
        """Return this reservation with other fields, and a note of who did it."""
        return replace(self, changes=(*self.changes, change)[-_CHANGES_KEPT:], **fields)


def to_json(reservation: Reservation) -> dict[str, Any]:
    """Return what the file of a reservation holds; times are UTC."""
    return {
        "id": reservation.id,
        "owner": reservation.owner,
        "selector": reservation.selector,
        "devices": list(reservation.devices),
        "start": stamp(reservation.start),
        "end": stamp(reservation.end),
        "purpose": reservation.purpose,
        "created": stamp(reservation.created),
        "ended": None if reservation.ended is None else stamp(reservation.ended),
        "used": {device: stamp(when) for device, when in reservation.used.items()},
        "changes": [
            {"when": stamp(change.when), "by": change.by, "what": change.what, "forced": change.forced}
            for change in reservation.changes
        ],
    }


def from_json(content: Mapping[str, Any]) -> Reservation:
    """Return the reservation that a file holds. Its strings are cleaned again: others can write the file.

    Raises:
        KeyError: something is missing.
        TypeError: a value is of another kind.
        ValueError: a time can't be read, has no zone, or it ends before it begins.
    """
    start, end = _time(content["start"]), _time(content["end"])
    devices = tuple(clean_owner(_text(name)) for name in _list(content["devices"]))
    if end <= start or not devices:
        raise ValueError("a reservation has boards, and ends after it begins")
    return Reservation(
        id=clean_owner(_text(content["id"])),
        owner=clean_owner(_text(content["owner"])),
        selector=clean_purpose(_text(content["selector"])),
        devices=devices,
        start=start,
        end=end,
        purpose=clean_purpose(_text(content["purpose"])),
        created=_time(content["created"]),
        ended=None if content["ended"] is None else _time(content["ended"]),
        used={clean_owner(name): _time(when) for name, when in dict(content["used"]).items()},
        changes=tuple(
            Change(
                _time(change["when"]),
                clean_owner(_text(change["by"])),
                clean_purpose(_text(change["what"])),
                forced=change["forced"] is True,
            )
            for change in _list(content["changes"])
        ),
    )


def _time(value: object) -> datetime:
    when = datetime.fromisoformat(_text(value))
    if when.tzinfo is None:
        raise ValueError("a time without its zone")
    return when.astimezone(UTC)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("not text")
    return value


def _list(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError("not a list")
    return value
