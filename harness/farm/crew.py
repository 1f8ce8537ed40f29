"""The workers of a night on this host: started, watched, and started again when they die."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from harness.farm.worker import Exit
from harness.locks.state import hostname
from harness.store.names import writer_name

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from harness.farm.night import Night
    from harness.farm.queue import CaseState

State = Literal["measuring", "waiting", "done", "failed", "unavailable"]

#: How often a worker that died is started again; a process that dies more often has a reason.
_RESTARTS = 5
#: How often a board may fail before it is left alone for the night.
_FAILURES = 3
#: How long before one is, doubled each time.
_PAUSE_S = 1.0
#: How long before a board that couldn't be had is asked for again.
_BUSY_S = 20.0
#: How often a board that isn't attached is looked for before the night doesn't wait for it any more.
_LOOKS = 30
#: A case may take so many times what it took in past runs, but at least so long, before its worker is taken to hang.
_TIMES, _LEAST_S = 20.0, 900.0
#: A worker gets so long to end by itself.
_STOP_S = 15.0


@dataclass
class Slot:
    """The place of one worker: a board, or one of several twins of a virtual kind that nobody configured.

    Attributes:
        device: name of the board.
        turn: which of the twins.
        state: what its worker is about.
        reason: why it isn't measuring.
        case: number of the case that it measures.
        began: when that was first seen, by the monotonic clock.
        shared: whether it is a board that others could have, and that is checked.
        process: the worker, None while there is none.
        writer: its name in the night's run.
        not_before: when the next one may be started, by the monotonic clock.
        deaths: how many workers have died here.
        failures: how often the board failed.
        missing: how often it wasn't attached, since it last measured.
        check: whether the next worker checks the board first.
        retired: whether nothing is left to do, or the time is up.
    """

    device: str
    turn: int = 0
    state: State = "waiting"
    reason: str = ""
    case: int | None = None
    shared: bool = True
    began: float = 0.0
    process: subprocess.Popen[bytes] | None = None
    writer: str = ""
    not_before: float = 0.0
    deaths: int = 0
    failures: int = 0
    missing: int = 0
    check: bool = False
    retired: bool = False

    @property
    def name(self) -> str:
        """What its log and the status page call it."""
        return self.device if self.turn == 0 else f"{self.device}-{self.turn}"

    @property
    def over(self) -> bool:
        """Whether no worker will be started here any more."""
        return self.process is None and (self.retired or self.state in ("done", "failed"))

    def retire(self) -> None:
        """Start no worker any more; a board that couldn't be had stays that, for the summary."""
        self.retired = True
        if self.state == "waiting":
            self.state = "done"


@dataclass
class Crew:
    """All workers of a night on this host.

    Attributes:
        night: the night.
        slots: a place for each worker.
        arguments: what each worker is told besides the night and its board.
        out_of_use: says why a board isn't used, None if it is.
        check: whether boards are checked before they are used.
    """

    night: Night
    slots: tuple[Slot, ...]
    arguments: Sequence[str]
    out_of_use: Callable[[str], str | None]
    check: bool
    _log: Path = field(init=False)

    def __post_init__(self) -> None:
        self._log = self.night.folder / "logs"
        self._log.mkdir(exist_ok=True)
        for slot in self.slots:
            slot.check = self.check and slot.shared
            why = self.out_of_use(slot.device) if slot.shared else None
            if why is not None:
                slot.state, slot.reason = "failed", why

    @property
    def over(self) -> bool:
        """Whether all workers have ended and none will be started."""
        return all(slot.over for slot in self.slots)

    def tend(self, states: dict[int, CaseState], *, late: bool) -> None:
        """Look after the workers: reap those that ended, kill those that hang, start those that are missing.

        Args:
            states: of the night's cases.
            late: whether the time is up, so that none is started any more.
        """
        for slot in self.slots:
            if slot.process is not None and slot.process.poll() is not None:
                self._reaped(slot, slot.process.returncode, late=late)
            if slot.process is not None:
                self._watch(slot, states)
            elif not slot.over and (late or not self._is_left(slot, states)):
                slot.retire()
            elif not slot.over and time.monotonic() >= slot.not_before:
                self._start(slot)

    def test_again(self, device: str) -> None:
        """Check a board that is out of use; if that brings it back, it measures."""
        for slot in self.slots:
            if slot.device == device and slot.over and slot.shared:
                slot.state, slot.reason, slot.check, slot.failures = "waiting", "tested again", True, 0
                slot.retired, slot.missing = False, 0

    def stop(self) -> None:
        """End all workers; one that doesn't listen is killed."""
        running = [slot.process for slot in self.slots if slot.process is not None]
        for process in running:
            process.terminate()
        deadline = time.monotonic() + _STOP_S
        for process in running:
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _is_left(self, slot: Slot, states: dict[int, CaseState]) -> bool:
        """Whether there is a case that a board may still get to measure."""
        return any(
            slot.device in case.devices and states[case.number].is_left_for(slot.device) for case in self.night.cases
        )

    def _start(self, slot: Slot) -> None:
        slot.writer = writer_name(hostname(), slot.name)
        command = [sys.executable, "-m", "harness.farm.worker", str(self.night.folder), slot.device]
        command += ["--writer", slot.writer, "--parent", str(os.getpid()), *["--check"] * slot.check, *self.arguments]
        slot.check = False
        with (self._log / f"{slot.name}.log").open("ab") as log:
            slot.process = subprocess.Popen(  # noqa: S603 (own program)
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, env=os.environ.copy()
            )
        slot.state, slot.reason = "waiting", ""

    def _reaped(self, slot: Slot, code: int, *, late: bool) -> None:
        slot.process, slot.case = None, None
        why = self.out_of_use(slot.device) if slot.shared and code in (Exit.BOARD, Exit.UNAVAILABLE) else None
        if code == Exit.DONE:
            slot.state = "done"
        elif why is not None:
            slot.state, slot.reason = "failed", why
        elif code == Exit.BOARD:
            slot.failures += 1
            slot.state, slot.reason = "waiting", self._last_words(slot)
            slot.check = slot.shared
            if slot.failures >= _FAILURES:
                slot.state = "failed"
        elif code in (Exit.UNAVAILABLE, Exit.MISSING):
            slot.state, slot.reason = "unavailable", self._last_words(slot)
            slot.not_before = time.monotonic() + _BUSY_S
            slot.missing += code == Exit.MISSING
            if slot.missing >= _LOOKS:
                slot.state = "failed"
        elif code == Exit.WRONG:
            slot.state, slot.reason = "failed", self._last_words(slot)
        elif code == Exit.STOPPED and late:
            slot.state = "done"
        else:
            slot.deaths += 1
            slot.reason = f"its worker died ({_how(code)})"
            slot.not_before = time.monotonic() + _PAUSE_S * 2 ** (slot.deaths - 1)
            if slot.deaths > _RESTARTS:
                slot.state, slot.reason = "failed", f"{slot.reason} {slot.deaths} times"

    def _watch(self, slot: Slot, states: dict[int, CaseState]) -> None:
        process = slot.process
        assert process is not None  # noqa: S101 (of the caller)
        if any(claim.writer == slot.writer for state in states.values() for claim in state.dead):
            process.kill()  # it stands still, and others have the case, or may have it
            return
        claims = [state.claim for state in states.values() if state.claim is not None and state.state == "claimed"]
        claim = next((claim for claim in claims if claim.writer == slot.writer), None)
        if claim is None:
            slot.state, slot.case = "waiting", None
            return
        if slot.case != claim.case:
            slot.case, slot.began = claim.case, time.monotonic()
        slot.state, slot.missing = "measuring", 0
        seconds = next((case.seconds for case in self.night.cases if case.number == claim.case), None)
        if time.monotonic() - slot.began > max(_LEAST_S, _TIMES * (seconds or 0.0)):  # it hangs
            process.kill()

    def _last_words(self, slot: Slot) -> str:
        lines = (self._log / f"{slot.name}.log").read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return lines[-1] if lines else "it didn't say why"


def _how(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"
