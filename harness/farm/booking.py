"""What somebody wants to borrow, and which boards that can be from when: plain functions of what is taken already."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: From when until when a board is somebody's, the end excluded.
Span = tuple[datetime, datetime]


@dataclass(frozen=True)
class Request:
    """What somebody wants to borrow.

    Attributes:
        devices: names of the boards that would do.
        selector: how these were chosen, for people.
        length: for how long.
        owner: the user that it is for.
        start: from when on, in UTC; None for now.
        count: how many of the boards, all for the same time.
        purpose: what for.
        queue: whether a later time will do, if the boards aren't free at `start`.
        by: who asks, if that isn't the owner.
    """

    devices: Sequence[str]
    selector: str
    length: timedelta
    owner: str
    start: datetime | None = None
    count: int = 1
    purpose: str = ""
    queue: bool = True
    by: str | None = None


def earliest(
    taken: Mapping[str, Sequence[Span]], start: datetime, latest: datetime, length: timedelta, count: int
) -> tuple[datetime, tuple[str, ...]] | None:
    """Return the first time from `start` on at which `count` boards are free together for `length`, and which ones.

    Boards only become free when a span ends, so no other times than those ends need a look. Of more boards than
    needed those with the least free time around the booking are taken, then by name, so that long gaps stay whole.

    Args:
        taken: the spans of each board that may be booked.
        start: the earliest time that is wanted.
        latest: the latest one, included.
        length: how long the boards are wanted for.
        count: how many boards.

    Returns:
        None if there is no such time up to `latest`.
    """
    ends = {end for spans in taken.values() for _, end in spans if start < end <= latest}
    for begin in sorted({start, *ends}):
        gaps = sorted(
            (gap, device)
            for device, spans in taken.items()
            if (gap := _gap(spans, start, begin, begin + length)) is not None
        )
        if len(gaps) >= count:
            return begin, tuple(sorted(device for _, device in gaps[:count]))
    return None


def _gap(spans: Sequence[Span], first: datetime, begin: datetime, end: datetime) -> timedelta | None:
    """Return how long a board is free around a booking, counted from `first` on; None if it is taken meanwhile."""
    if any(other < end and begin < other_end for other, other_end in spans):
        return None
    before = max((other_end for _, other_end in spans if other_end <= begin), default=first)
    after = min((other for other, _ in spans if other >= end), default=None)
    return timedelta.max if after is None else after - max(before, first)
