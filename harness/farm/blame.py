"""Whose fault a failure was: the board's or the image's. Siblings tell."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from harness.health.event import Event, may_be_the_image

if TYPE_CHECKING:
    from collections.abc import Iterable

Culprit = Literal["board", "image", "undecided"]
_Key = tuple[str, str, str]


@dataclass(frozen=True)
class SuspectImage:
    """An image that failed on several boards of a kind and has worked on none.

    Attributes:
        image_sha256: which.
        kind: of the boards.
        backend: that they run on.
        boards: that it failed on, sorted.
        failures: how often.
    """

    image_sha256: str
    kind: str
    backend: str
    boards: tuple[str, ...]
    failures: int


@dataclass(frozen=True)
class Blame:
    """The events of some boards, by what they say.

    Attributes:
        counted: what counts for or against its board, in the order of time: successes, and failures of the board.
        excused: failures of suspect images.
        undecided: failures of an image that only one board has run, and that never worked there.
        images: the suspect ones.
    """

    counted: tuple[Event, ...]
    excused: tuple[Event, ...]
    undecided: tuple[Event, ...]
    images: tuple[SuspectImage, ...]


def blame(events: Iterable[Event]) -> Blame:
    """Tell bad boards from bad images.

    An image that failed on two boards of a kind or more, and has worked on none of them, is suspect: its failures don't
    count against the boards. A failure with an image that worked on a sibling, or on the board itself, is the board's.
    With one board and an image that never worked there nobody can tell, unless the image is the one that health checks
    use because it is known to work. A probe that can't be opened and flash that can't be written are never the image's
    fault. Boards of different kinds or backends say nothing about each other.
    """
    ordered = sorted(events, key=lambda event: event.when)
    worked: set[_Key] = set()
    failed: defaultdict[_Key, list[Event]] = defaultdict(list)
    for event in ordered:
        key = _key(event)
        if key is not None and event.ok:
            worked.add(key)
        elif key is not None and may_be_the_image(event.error):
            failed[key].append(event)
    suspects = {
        key: SuspectImage(key[2], key[0], key[1], boards, len(failures))
        for key, failures in failed.items()
        if key not in worked and len(boards := tuple(sorted({event.device for event in failures}))) > 1
    }
    sorted_out: dict[Culprit, list[Event]] = {"board": [], "image": [], "undecided": []}
    for event in ordered:
        sorted_out["board" if event.ok else _culprit(event, worked, suspects)].append(event)
    return Blame(
        tuple(sorted_out["board"]),
        tuple(sorted_out["image"]),
        tuple(sorted_out["undecided"]),
        tuple(suspects.values()),
    )


def _culprit(event: Event, worked: set[_Key], suspects: dict[_Key, SuspectImage]) -> Culprit:
    key = _key(event)
    if key is None or not may_be_the_image(event.error) or key in worked:
        return "board"
    if key in suspects:
        return "image"
    return "board" if event.purpose == "check" else "undecided"


def _key(event: Event) -> _Key | None:
    return (event.kind, event.backend, event.image_sha256) if event.image_sha256 is not None else None
