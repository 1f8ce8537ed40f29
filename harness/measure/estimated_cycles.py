"""An estimate of the cycles that an inference would take on a board, from its emulation. It is no measurement.

docs/cycles.md says what it rests on, and how far it was off where boards were measured.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from harness.boards.opening import OnTwin
from harness.boards.virtual.cycles.costs import PARTS, shipped_costs
from harness.boards.virtual.cycles.marks import SCALE
from harness.boards.virtual.cycles.memory import mean_stalls, shares_of_code
from harness.config.chip import shipped_chips
from harness.errors import MeasurementError
from harness.measure.latency import summarize

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from harness.boards.base import Board
    from harness.boards.virtual.cycles.costs import Costs
    from harness.boards.virtual.cycles.marks import CycleMarks, Interval
    from harness.config import BoardKind
    from harness.config.chip import FlashTiming
    from harness.link.messages import Inference, Info

Code = Literal["integer", "float"]

#: Error of the estimates, in percent, on the points of integer code at zero wait states: docs/cycles.md.
INTEGER_ERROR: Final = (-7.0, 3.0)
#: From which share of an estimate on its code counts as of that class, or as using flash. Whether it waits there much
#: is itself an estimate.
_TELLING = 0.01
#: Inferences of a case that are estimated, at most.
INFERENCES: Final = 100
_TRACE_ENTRIES = 1 << 24  # blocks and reads of flash; memory that isn't written to takes no room


@dataclass(frozen=True)
class Validity:
    """How far an estimate may be off.

    Attributes:
        code: integer or float, whichever the code is.
        error: range of the error as far as published measurements tell, in percent; None if none do.
        words: the same with what it holds for, or why none do.
    """

    code: Code
    error: tuple[float, float] | None
    words: str

    def content(self) -> dict[str, Any]:
        """Return it as columns of the case table have it."""
        low, high = (None, None) if self.error is None else (end / 100 for end in self.error)
        return {
            "estimated_cycles_error": self.words,
            "estimated_cycles_error_low": low,
            "estimated_cycles_error_high": high,
            "estimated_cycles_code": self.code,
        }


@dataclass(frozen=True)
class CycleEstimate:
    """Estimated cycles of inferences.

    Attributes:
        parts: by inference and by part, in cycles, shape [N, PARTS].
        validity: how far it may be off.
    """

    parts: np.ndarray[Any, np.dtype[np.float64]]
    validity: Validity

    @property
    def cycles(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Of each inference, rounded to whole ones, shape [N]."""
        whole: np.ndarray[Any, np.dtype[np.int64]] = np.rint(self.parts.sum(axis=1)).astype(np.int64)
        return whole


class CycleEstimator:
    """Estimates the cycles of what one virtual board runs.

    Args:
        board: open.
        flash: how the chip's flash is read; None if that isn't known, so that waits for it are left out.
        costs: of each event; None for the shipped ones.
    """

    def __init__(self, board: OnTwin, flash: FlashTiming | None, costs: Costs | None = None) -> None:
        self._board, self.flash, self.costs = board, flash, costs or shipped_costs()
        self._marks: CycleMarks | None = None
        self._in_flash = self._over_system_bus = 0.0  # shares of the code

    def begin(self) -> None:
        """Watch the board from now on; before its firmware boots, which then measures what measuring costs."""
        self._marks = self._board.twin.mark_cycles(self.costs)

    def end(self) -> None:
        """Watch it no longer. What was seen stays."""
        self._board.twin.unmark_cycles()

    @property
    def model(self) -> str:
        """The model and its version as the results carry it."""
        return f"{self.costs.version}{', without waits for flash' if self.flash is None else ''}"

    @property
    def marks(self) -> CycleMarks:
        """The readings of the board's counter since `begin`.

        Raises:
            MeasurementError: there was none.
        """
        if self._marks is None:
            raise MeasurementError("estimating cycles has not begun")
        return self._marks

    def first_inference(self, run: Callable[[], Inference], overhead: int) -> Inference:
        """Run an inference, and learn from it how long each block waits for flash.

        Args:
            run: runs it, alone.
            overhead: instructions of an empty measurement.

        Raises:
            MeasurementError: what was traced isn't the inference. The inference itself was run.
            Whatever `run` raises.
        """
        if self.flash is None:
            return run()
        marks = self.marks
        with self._board.twin.traced(marks, self.flash, _TRACE_ENTRIES) as trace:
            marks.clear()
            inference = run()
        (interval,) = marks.inferences(inference.ticks, overhead)
        if trace.full:
            raise MeasurementError("an inference is too long for a simulation of the caches")
        entries = trace.entries(*interval.traced)
        marks.use(mean_stalls(entries, self.flash))
        self._in_flash, self._over_system_bus = shares_of_code(entries, self.flash)
        return inference

    def estimate(self, intervals: Sequence[Interval]) -> CycleEstimate:
        """Return the estimate of inferences, from what ran between the readings around them."""
        parts = np.array([interval.cycles for interval in intervals], np.float64).reshape(-1, len(PARTS)) / SCALE
        return CycleEstimate(parts, self.validity(parts))

    def validity(self, parts: np.ndarray[Any, np.dtype[np.float64]]) -> Validity:
        """Return how far an estimate may be off; `parts` are estimated cycles by part, shape [N, PARTS]."""
        shares = parts.sum(axis=0) / max(parts.sum(), 1)
        code: Code = "float" if shares[PARTS.index("float")] > _TELLING else "integer"
        error, where = INTEGER_ERROR, "zero wait states"
        problems = []
        if not self.costs.shipped:
            problems.append("costs of a calibration")
        if self._over_system_bus > _TELLING:
            problems.append("code that is fetched from RAM over the system bus")
        if code == "float":
            problems.append("float code")
        if self.flash is None:
            problems.append("waits for this chip's flash at its clock aren't known and are left out")
        elif code == "integer" and max(self._in_flash, shares[PARTS.index("flash")]) > _TELLING:
            if self.flash.validated is None:
                problems.append("no published measurement on this flash")
            else:
                error, where = self.flash.validated, "this flash"
        if problems:
            return Validity(code, None, f"not validated: {', '.join(problems)}")
        return Validity(code, error, f"{error[0]:+.0f} to {error[1]:+.0f} % (integer code, {where})")


def flash_of(kind: BoardKind) -> FlashTiming | None:
    """Return how the chip of a kind reads its flash; None if that isn't known, or only at another clock."""
    chip = shipped_chips().get(kind.twin or "")
    timing = None if chip is None else chip.flash_timing
    return timing if timing is not None and timing.clock_hz == kind.clock_hz else None


def _is_modelled(board: Board) -> bool:
    chip = shipped_chips().get(board.kind.twin or "")
    return chip is not None and chip.cpu == "cortex-m4"


def why_not_modelled(board: Board) -> str | None:
    """Say why there is no estimate of cycles on an emulated board; None if there is one, or the board is a real one."""
    if board.counter == "emulated cycles":
        return f"cycles are modelled for a Cortex-M4, and this is an {board.kind.mcu}; its ticks are simavr's own"
    chip = shipped_chips().get(board.kind.twin or "")
    if board.backend == "renode":
        return "cycles are estimated on the virtual board, not in Renode"
    if board.backend != "virtual" or _is_modelled(board):
        return None
    core = "another core" if chip is None else f"a {chip.emulated_core}"
    return f"cycles are modelled for a Cortex-M4, and this is {core}"


def costs_of(kind: BoardKind) -> Costs:
    """Return what events cost on the chip of a kind."""
    chip = shipped_chips().get(kind.twin or "")
    kept = None if chip is None else chip.cycle_costs
    return shipped_costs() if kept is None else shipped_costs().calibrated(kept.cycles)


def estimator_of(board: Board, flash: FlashTiming | None = None, costs: Costs | None = None) -> CycleEstimator | None:
    """Return what estimates the cycles of a board; None if nothing does: it isn't emulated here, or is no Cortex-M4.

    Args:
        board: open.
        flash: how flash is read; None for what is known of the board's chip.
        costs: of each event; None for those of the board's chip.
    """
    if not isinstance(board, OnTwin) or board.backend != "virtual" or not _is_modelled(board):
        return None
    return CycleEstimator(board, flash or flash_of(board.kind), costs or costs_of(board.kind))


class Estimates:
    """The estimate of a case, or why there is none: it never ends a case.

    Args:
        estimator: of the board; None where nothing estimates.
        info: what the firmware says of itself.
        most: inferences that are estimated; None for all.

    Attributes:
        problem: why there is no estimate; None as long as nothing speaks against one.
    """

    def __init__(self, estimator: CycleEstimator | None, info: Info, most: int | None = INFERENCES) -> None:
        self._estimator, self._overhead, self._most = estimator, info.counter_overhead, most
        pieces = len(info.pieces)
        self.problem = None if pieces < 2 else f"the model takes an input in {pieces} pieces"

    def first(self, run: Callable[[], Inference]) -> Inference:
        """Run the first inference, which shows how flash is read."""
        inference: list[Inference] = []

        def kept() -> Inference:
            inference.append(run())
            return inference[0]

        try:
            if self._estimator is None or self.problem is not None:
                return kept()
            return self._estimator.first_inference(kept, self._overhead)
        except MeasurementError as error:
            if not inference:
                raise
            self.problem = str(error)
            return inference[0]
        finally:
            if self._estimator is not None:
                self._estimator.marks.clear()
                # One of two intervals is an inference, the other what lies between.
                self._estimator.marks.most = None if self._most is None else 2 * self._most

    def columns(self, ticks: Sequence[int]) -> dict[str, Any]:
        """Return the columns of the case table, once its inferences have run; `ticks` are their instructions."""
        if self._estimator is None:
            return {}
        self._estimator.end()
        if self.problem is not None:
            return {"estimated_cycles_reason": self.problem}
        try:
            seen = self._estimator.marks.inferences(ticks[: self._most], self._overhead)
            estimate = self._estimator.estimate(list(seen))
        except MeasurementError as error:
            return {"estimated_cycles_reason": str(error)}
        figures = {f"estimated_cycles_{name}": value for name, value in vars(summarize(estimate.cycles)).items()}
        return {**figures, **estimate.validity.content(), "cycle_model": self._estimator.model}
