"""One trial of a board: what one case, or one health check, tells about the board that it ran on."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pydantic import AwareDatetime  # noqa: TC002 (what reads the checks needs it)

from harness import errors
from harness.config.state import stamp
from harness.errors import (
    BoardError,
    BusyError,
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
from harness.text.escape import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from harness.config import Device

    Row = Mapping[str, Any]

#: Errors that say nothing about the board: somebody else has it, or it was not tried at all.
_NOT_ITS_FAULT = (BusyError, FarmError, LeaseLostError, GivenUpError, QuarantinedError)
_REASON_CHARACTERS = 300

Outcome = Literal["ok", "failed"]
Layer = Literal["link", "probe", "flash", "other"]
_LAYERS: tuple[tuple[Layer, type[HilError]], ...] = (("link", LinkError), ("probe", ProbeError), ("flash", FlashError))


@dataclass(frozen=True, slots=True)
class Trial:
    """One case on one board, as far as the infrastructure goes: a wrong answer or an exceeded limit is "ok".

    Attributes:
        when: it ended, UTC.
        outcome: "failed" if the infrastructure failed, after all retries.
        purpose: "run" for a case, "check" for a health check.
        board_uid: chip id that the board announced; None if it never answered.
        run: folder name of the run; `case` is its number in there.
        image_sha256: of the image that ran; None if the board could not be opened, so that none did.
        error: class name of what was raised; None if nothing was.
        reason: the same in words, printable, cut to 300 characters.
        attempts: how often the case was started on this board.
        retransmissions: frames sent again on the link; None if there was no link.
        ticks_median: of the case, in ticks of `counter`; None if it isn't complete.
        clock_hz: frequency of that counter, as announced.
        duration_s: host time.
    """

    when: AwareDatetime
    host: str
    device: str
    kind: str
    backend: str
    outcome: Outcome
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
        """Where it is recorded: the run and the number of the case; a check's time."""
        return f"{self.run}#{self.case}" if self.run is not None else f"{self.purpose} {stamp(self.when)}"


def trials_of(attempts: Iterable[Row], cases: Iterable[Row]) -> list[Trial]:
    """Return what cases told about their boards, in the order of time.

    The attempts of one board at one case are one trial: it failed if its last attempt did. What is nobody's fault is
    none: a board that was busy, reserved or taken away, and what configuration, disk or user did. Nor is what may
    still be tried again: the last failure of a board at a case that hasn't ended.

    Args:
        attempts: rows of the attempts table, in any order.
        cases: rows of the case table; `status` is None for a case that hasn't ended. A case that isn't among them is
            taken to have ended.
    """
    known = {(row["run"], row["case"]): row for row in cases}
    tried: defaultdict[tuple[str, int, str], list[Row]] = defaultdict(list)
    newest: dict[tuple[str, str, int | None], Row] = {}
    for row in sorted(attempts, key=lambda row: row["ended"]):
        tried[row["run"], row["case"], row["device"]].append(row)
        newest["device", row["device"], None] = newest["case", row["run"], row["case"]] = row
    trials = []
    for (run, number, device), rows in tried.items():
        case, last = known.get((run, number), {"status": "ended"}), rows[-1]
        pending = case["status"] is None and last is newest["device", device, None] is newest["case", run, number]
        outcome = _outcome(last)
        if outcome == "ok" or (outcome == "failed" and not pending):
            trials.append(_trial(rows, case, outcome))
    return sorted(trials, key=lambda trial: trial.when)


def _outcome(last: Row) -> Outcome | None:
    """Judge a board's last attempt at a case; None if it says nothing about the board."""
    error = getattr(errors, last["error"] or "", None)
    if last["outcome"] == "ok" or _is(error, MeasurementError):
        return "ok"  # a measurement that makes no sense came from a board that answered
    failed = last["outcome"] == "failed" and _is(error, BoardError) and not _is(error, _NOT_ITS_FAULT)
    return "failed" if failed else None


def _trial(rows: Sequence[Row], case: Row, outcome: Outcome) -> Trial:
    last, failed = rows[-1], outcome == "failed"
    opened = [row for row in rows if row["stage"] != "open"]
    own = case.get("device") == last["device"]  # else the figures in the case's row are another board's
    figures: Row = {name: case.get(name) if own else None for name in ("ticks_median", "counter", "clock_hz")}
    same: Row = {name: last[name] for name in ("device", "backend", "run", "case", "suite", "variant")}
    return Trial(
        when=last["ended"],
        host=last["host"] or "",
        kind=last["board"],
        outcome=outcome,
        board_uid=next((row["board_uid"] for row in reversed(rows) if row["board_uid"]), None),
        image_sha256=opened[-1]["image_sha256"] if opened else None,
        inputs_sha256=case.get("inputs_sha256"),
        harness_version=case.get("harness_version"),
        error=last["error"] if failed else None,
        reason=shown(str(last["reason"])) if failed else None,
        attempts=len(rows),
        retransmissions=sum(row["retransmissions"] or 0 for row in opened) if opened else None,
        duration_s=sum(row["seconds"] or 0.0 for row in rows),
        **same,
        **figures,
    )


def _is(error: object, base: type[HilError] | tuple[type[HilError], ...]) -> bool:
    return isinstance(error, type) and issubclass(error, base)


def layer_of(error: str | None) -> Layer:
    """Say what failed by the class name of the error: link, probe, flash, or something else."""
    found = getattr(errors, error or "", None)
    return next((layer for layer, base in _LAYERS if _is(found, base)), "other")


def may_be_the_image(error: str | None) -> bool:
    """Firmware that stops or never answers may be broken; what fails before it runs can't be its fault."""
    return layer_of(error) not in ("probe", "flash")


def says_something(device: Device, backend: str) -> bool:
    """Tell whether a case on a backend is about the device: one on a real board's twin isn't."""
    own = device.backend or ("hardware" if device.hardware else None)
    return own in (None, backend)


def shown(text: str) -> str:
    """Return what a board said as one printable line of at most 300 characters."""
    line = printable(" ".join(text.split()))
    return line if len(line) <= _REASON_CHARACTERS else f"{line[: _REASON_CHARACTERS - 3]}..."
