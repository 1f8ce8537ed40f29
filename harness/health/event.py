"""What one case, or one health check, tells about the board that it ran on."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from types import NoneType
from typing import TYPE_CHECKING, Any, Literal

from harness import errors
from harness.errors import (
    BoardError,
    BusyError,
    ConfigError,
    FarmError,
    FlashError,
    GivenUpError,
    HilError,
    LeaseLostError,
    LinkError,
    MeasurementError,
    ProbeError,
    QuarantinedError,
)
from harness.locks.state import stamp
from harness.text.escape import printable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.config import Device

#: Errors that say nothing about the board: somebody else has it, or it was not tried at all.
_NOT_ITS_FAULT = (BusyError, FarmError, LeaseLostError, GivenUpError, QuarantinedError)
_REASON_CHARACTERS = 300
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")

Layer = Literal["link", "probe", "flash", "other"]
_LAYERS: tuple[tuple[Layer, type[HilError]], ...] = (("link", LinkError), ("probe", ProbeError), ("flash", FlashError))
_NUMBERS = ("case", "attempts", "retransmissions", "ticks_median", "clock_hz", "duration_s")
_MOST = 2**53  # beyond it a number isn't exact any more, and nothing here is as large
#: What an event takes from the row of a case as it is.
_FROM_ROW = (
    "device",
    "backend",
    "board_uid",
    "run",
    "case",
    "suite",
    "variant",
    "image_sha256",
    "inputs_sha256",
    "harness_version",
    "retransmissions",
    "ticks_median",
    "counter",
    "clock_hz",
    "duration_s",
)


@dataclass(frozen=True, slots=True)
class Event:
    """One case on one board, as far as the infrastructure goes: a wrong answer or an exceeded limit is "ok".

    Attributes:
        when: it ended, UTC.
        host: computer that owns the board.
        device: its name in devices.yaml.
        kind: of the board.
        backend: hardware, virtual or renode.
        outcome: "failed" if the infrastructure failed, after all retries.
        purpose: "run" for a case, "check" for a health check.
        board_uid: chip id that the board announced; None if it never answered.
        run: folder name of the run; `case` is its number in there.
        error: class name of what was raised; None if nothing was.
        reason: the same in words, printable, cut to 300 characters.
        attempts: how often the case was started.
        retransmissions: frames sent again on the link; None if there was no link.
        ticks_median: of the case, in ticks of `counter`; None if it isn't complete.
        clock_hz: frequency of that counter, as announced.
        duration_s: host time.
    """

    when: datetime
    host: str
    device: str
    kind: str
    backend: str
    outcome: Literal["ok", "failed"]
    purpose: str = "run"
    board_uid: str | None = None
    run: str | None = None
    case: int | None = None
    suite: str | None = None
    variant: str | None = None
    image_sha256: str | None = None
    inputs_sha256: str | None = None
    harness_version: str | None = None
    error: str | None = None
    reason: str | None = None
    attempts: int = 1
    retransmissions: int | None = None
    ticks_median: float | None = None
    counter: str | None = None
    clock_hz: int | None = None
    duration_s: float | None = None

    @property
    def ok(self) -> bool:
        """Whether the infrastructure worked."""
        return self.outcome == "ok"

    @property
    def reference(self) -> str:
        """Where the case is recorded: its run and number; its time, if it has none."""
        return f"{self.run}#{self.case}" if self.run is not None else f"{self.purpose} {stamp(self.when)}"


def event_of(row: Mapping[str, Any], error: BaseException | None, *, host: str, when: datetime) -> Event | None:
    """Return what a case tells about its board; None if that is nothing.

    Args:
        row: of the case, from `CaseRecord.finish`; of a case that failed here and goes to another board what is known.
        error: what ended the case; None if nothing did.
        host: computer that owns the board.
        when: it ended.
    """
    if isinstance(error, _NOT_ITS_FAULT) or row.get("status") == "skipped":
        return None
    failed = isinstance(error, BoardError)
    # A measurement that makes no sense came from a board that answered. Configuration, disk and user say nothing.
    if not failed and not (row.get("status") == "complete" if error is None else isinstance(error, MeasurementError)):
        return None
    taken: dict[str, Any] = {name: row.get(name) for name in _FROM_ROW}
    return Event(
        **taken,
        when=when,
        host=host,
        kind=row["board"],
        outcome="failed" if failed else "ok",
        error=type(error).__name__ if failed else None,
        reason=shown(str(error)) if failed else None,
        attempts=row.get("attempts") or 1,
    )


def as_line(event: Event) -> dict[str, Any]:
    """Return an event as a file holds it."""
    return {**asdict(event), "when": stamp(event.when)}


def from_line(line: Mapping[str, Any]) -> Event | None:
    """Return the event of a line; None if it isn't one, or one that a newer version wrote in another form."""
    known = {field.name: line[field.name] for field in fields(Event) if field.name in line}
    if not all(_fits(name, value) for name, value in known.items()):
        return None
    try:
        event = Event(**{**known, "when": datetime.fromisoformat(known["when"])})
    except (KeyError, TypeError, ValueError):
        return None
    needed = (event.host, event.device, event.kind, event.backend, event.purpose, event.attempts)
    sound = event.when.tzinfo is not None and event.outcome in ("ok", "failed") and None not in needed
    return event if sound else None


def _fits(name: str, value: object) -> bool:
    if name in _NUMBERS and value is not None:
        return isinstance(value, int | float) and not isinstance(value, bool) and -_MOST <= value <= _MOST
    return isinstance(value, str | NoneType)


def shown(text: str) -> str:
    """Return what a board said as one printable line of at most 300 characters."""
    line = printable(" ".join(text.split()))
    return line if len(line) <= _REASON_CHARACTERS else f"{line[: _REASON_CHARACTERS - 3]}..."


def checked_name(name: str, what: str) -> str:
    """Return the name of a device or host, which becomes one of a file.

    Raises:
        ConfigError: it could be a path, or something else that isn't a name.
    """
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"{what} {shown(repr(name))} can't be the name of a file: expected up to 64 letters, digits, dots, dashes "
            "and underscores, a letter or digit first. A host can be named with HIL_HOST"
        )
    return name


def layer_of(error: str | None) -> Layer:
    """Say what failed by the class name of the error: link, probe, flash, or something else."""
    found = getattr(errors, error or "", None)
    if isinstance(found, type):
        for layer, base in _LAYERS:
            if issubclass(found, base):
                return layer
    return "other"


def may_be_the_image(error: str | None) -> bool:
    """Firmware that stops or never answers may be broken; what fails before it runs can't be its fault."""
    return layer_of(error) not in ("probe", "flash")


def says_something(device: Device, backend: str) -> bool:
    """Tell whether a case on a backend is about the device: that of a real board's twin isn't about the board."""
    own = device.backend or ("hardware" if device.hardware else None)
    return own in (None, backend)
