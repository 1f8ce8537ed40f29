"""What the board's counter said, summed up; and latency, where the counter counts cycles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.errors import MeasurementError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from harness.boards.base import Counter

_MICROSECONDS = 1_000_000


@dataclass(frozen=True)
class TickSummary:
    """Ticks per inference."""

    median: float
    p95: int
    min: int
    max: int


def summarize(ticks: ArrayLike) -> TickSummary:
    """Sum up the ticks of a case.

    The median of an even number of values is the mean of the middle two. The 95th percentile is by
    nearest rank: the smallest observed value that at least 95 % of the values don't exceed.

    Args:
        ticks: counter differences, shape [N], whole numbers above 0.

    Raises:
        MeasurementError: there are none, or one is 0: the counter doesn't run.
    """
    values = np.sort(np.asarray(ticks))
    if values.ndim != 1 or values.size == 0:
        raise MeasurementError("there are no ticks to sum up")
    if values.dtype.kind not in "iu":
        raise MeasurementError(f"ticks are whole numbers, not {values.dtype}")
    if values[0] <= 0:
        raise MeasurementError(f"an inference took {int(values[0])} ticks: the board's counter doesn't run")
    rank = -(-95 * values.size // 100)  # in whole numbers, so that rounding can't move the rank
    return TickSummary(float(np.median(values)), int(values[rank - 1]), int(values[0]), int(values[-1]))


def counter_columns(summary: TickSummary, counter: Counter, clock_hz: int) -> dict[str, Any]:
    """Return the columns of the case table that the counter fills.

    Cycles become latency: latency_us = ticks / clock_hz * 1e6. What emulators count doesn't; the reason is given
    instead.

    Raises:
        MeasurementError: cycles without a clock.
    """
    ticks = vars(summary).items()
    columns: dict[str, Any] = {"counter": counter, "clock_hz": clock_hz}
    columns |= {f"ticks_{name}": value for name, value in ticks}
    if counter != "cycles":
        return columns | {"latency_reason": f"an emulator counts {counter}, not time"}
    if clock_hz <= 0:
        raise MeasurementError(f"a clock of {clock_hz} Hz turns no cycles into time")
    return columns | {f"latency_us_{name}": value / clock_hz * _MICROSECONDS for name, value in ticks}
