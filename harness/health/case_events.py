"""What a case was on one of the boards that tried it: a case that fails on one goes to the next of its pool."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.health.event import Event, event_of, says_something

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from harness.boards.base import Backend
    from harness.config import Device, Suite, Variant
    from harness.store.cases import CaseRecord


@dataclass(frozen=True)
class Part:
    """A case on one board.

    Attributes:
        record: of the case, before it is handed on.
        run: folder name of its run.
        device: the board.
        backend: that it runs on.
        suite: the task.
        variant: which of its models.
        opened: whether the board could be opened; if not, the image has nothing to do with it.
    """

    record: CaseRecord
    run: str
    device: Device
    backend: Backend
    suite: Suite
    variant: Variant
    opened: bool = True


def event_of_part(part: Part, error: BaseException | None, *, host: str, when: datetime) -> Event | None:
    """Return what a case tells about one of its boards; None if that is nothing.

    Call it before `CaseRecord.hand_on`, which begins to count for the next board.

    Args:
        part: the case on that board.
        error: what ended it there; None if it is complete.
        host: computer that owns the board.
        when: now.
    """
    if not says_something(part.device, part.backend):
        return None
    record, finished = part.record, part.record.row
    # Where several processes write a run, the row that counts may be that of another board.
    own = finished if finished is not None and finished["device"] == part.device.name else {}
    if error is None and not own:
        return None
    known: dict[str, Any] = {
        "device": part.device.name,
        "board": part.device.kind.name,
        "backend": part.backend,
        "run": part.run,
        "case": record.number,
        "suite": part.suite.task,
        "variant": part.variant.name,
        "image_sha256": _digest(part.suite.image_path(part.variant, part.device.kind)) if part.opened else None,
    }
    attempts = {"attempts": record.attempt + 1 - record.handed_on}
    return event_of({**own, **known, **attempts}, error, host=host, when=when)


def _digest(image: Path) -> str | None:
    try:
        with image.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None
