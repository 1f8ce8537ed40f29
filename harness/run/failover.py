"""A case that goes from board to board until one of them can measure it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from harness import errors
from harness.errors import BoardError, BusyError, GivenUpError, LeaseLostError, MeasurementError, QuarantinedError
from harness.run.case import run_case
from harness.store.attempts import attempts_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.boards.base import Board
    from harness.config import Device, Suite, Variant
    from harness.config.data import SuiteData
    from harness.run.boards import Boards
    from harness.run.options import Options
    from harness.run.targets import Target
    from harness.store.cases import CaseRecord
    from harness.store.runs import Run

#: So many boards of a pool are tried with a case; an image that fails on all of them is to blame, not they.
_BOARDS_PER_CASE = 3
#: So often a case is begun again because its board was taken away: a coordinator restarted, a host was suspended.
_LOSSES = 2


@dataclass
class Failover:
    """One case, and the boards that can measure it. A target of one board has no other to go to.

    Attributes:
        boards: of the session.
        target: which of them the case may be measured on.
        suite: the task.
        variant: which of its models.
        data: inputs and labels.
        run: where results go.
        record: what is written of this case.
        options: what the user chose.
        on_progress: called with the stage, how much is done, and of how much.
        final: whether a failure of the boards ends the case; if not, another process may take it.
        failed: why each board that was tried couldn't measure it, by name.
        unfit: why other boards aren't even tried, by name.
        lost: how often a board was taken away in the middle of it.
    """

    boards: Boards
    target: Target
    suite: Suite
    variant: Variant
    data: SuiteData
    run: Run
    record: CaseRecord
    options: Options
    on_progress: Callable[[str, int, int], None] | None
    final: bool = True
    failed: dict[str, str] = field(default_factory=dict)
    unfit: dict[str, BoardError] = field(default_factory=dict)
    lost: int = 0

    def measure(self) -> dict[str, Any]:
        """Measure the case on one board after the other, until one works, and return its row.

        Raises:
            HilError: the last board failed, or there is none, or what failed isn't a board.
        """
        most = min(_BOARDS_PER_CASE, len(self.target.devices))
        while True:
            board, device = self._take()
            last = len(self.failed) + 1 >= most
            try:
                row = run_case(
                    board,
                    self.suite,
                    self.variant,
                    self.data,
                    self.run,
                    retries=self.options.retries,
                    force_flash=self.options.force_flash,
                    twin_estimate=self.options.twin_estimate,
                    on_progress=self.on_progress,
                    record=self.record,
                    meter=self.boards.meters[device.name],
                    final=last and self.final,
                    on_attempt=partial(self.boards.access.attempt_ended, device),
                )
            except LeaseLostError as error:
                self.boards.let_go(device.name)
                if self.lost == _LOSSES or not self.final:
                    raise
                self.lost += 1
                self.record.hand_on(f"{error} (next: asking for a board again)")
            except BoardError as error:
                self.boards.reliability[device.name].failed(error, answered=self.record.answered)
                if last:
                    raise
                self.boards.let_go(device.name)
                self._give_up(device, error)
            except MeasurementError:
                self.boards.reliability[device.name].worked()
                raise
            else:
                self.boards.reliability[device.name].worked()
                return row

    def _take(self) -> tuple[Board, Device]:
        """Open a board: one that this process holds, else the first that is free and works.

        Bad boards fail fast and are free while good ones measure. So that a few of them don't try a case one after the
        other, it goes from one that failed to one that hasn't, and waits for it if this run holds it.

        Raises:
            BoardError: there is none.
        """
        wait, patience = self.boards.waiting(), self.boards.patience_for(self.target)
        alone = len(self.target.devices) == 1
        while True:
            busy: list[BusyError] = []
            suspects = self._failing() if self.failed else set()
            left = [
                device for device in self.boards.order(self.target) if device.name not in {**self.failed, **self.unfit}
            ]
            for device in sorted(left, key=lambda device: device.name in suspects):
                if device.name in suspects and self.boards.held_by_this_run(busy):
                    continue
                try:
                    return self.boards.board_for(self.record, device, self.run, patience), device
                except BusyError as error:
                    busy.append(error)
                except (GivenUpError, QuarantinedError) as error:
                    self.unfit[device.name] = error
                except BoardError as error:
                    if alone:
                        raise
                    self._give_up(device, error)
            if not busy:
                raise self._none_left()
            if alone and not self.boards.held_by_this_run(busy):
                raise busy[0]
            self.boards.await_any(busy, wait)

    def _failing(self) -> set[str]:
        """Return the boards whose last attempt in this run failed, also in its other processes."""
        last = {attempt["device"]: attempt for attempt in attempts_of(self.run.path)}
        return {
            device
            for device, attempt in last.items()
            if attempt["outcome"] == "failed" and issubclass(getattr(errors, attempt["error"], object), BoardError)
        }

    def _give_up(self, device: Device, error: BoardError) -> None:
        """Note that a board can't measure the case, and begin anew for the next one."""
        self.failed[device.name] = str(error)
        self.record.hand_on(f"{error} (next: another board)")

    def _none_left(self) -> BoardError:
        """Say why no board can measure the case."""
        reasons = list(self.unfit.values())
        if len(reasons) == 1 and not self.failed:
            return reasons[0]
        text = "no board is left: " + "; ".join([*self.failed.values(), *map(str, reasons)])
        untried = not self.failed and all(isinstance(error, QuarantinedError) for error in reasons)
        return QuarantinedError(text) if untried else BoardError(text)
