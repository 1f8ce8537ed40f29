"""The filter that hides what a PPK2 sends while it changes its range, as in Nordic's application, for whole arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from harness.power.base import Floats

_ALPHA, _ALPHA_RANGE_4 = 0.18, 0.06
_SAMPLES = 3  # after each change of range
_TOP_RANGE = 4
_BLOCK = 64
_MEMORY = 1024  # samples; 0.94 ** 1024 is 3e-28, so what lies further back has no part in an average
_NO_CHANGE = 1 << 40


def ewma(values: Floats, alpha: float, start: float | None) -> Floats:
    """Return the running average y[i] = alpha * values[i] + (1 - alpha) * y[i - 1].

    Args:
        values: shape (n,), n at least 1.
        alpha: weight of the newest value.
        start: y before the first value; None lets y begin with it.
    """
    keep = 1.0 - alpha
    before = float(values[0]) if start is None else start
    blocks = -(-len(values) // _BLOCK)
    padded = np.zeros(blocks * _BLOCK)
    padded[: len(values)] = values
    age = np.arange(_BLOCK)[:, None] - np.arange(_BLOCK)
    weights = np.where(age >= 0, alpha * keep ** np.maximum(age, 0), 0.0)
    within = padded.reshape(blocks, _BLOCK) @ weights.T
    carried = np.empty(blocks)
    fade = keep**_BLOCK
    for block, last in enumerate(within[:, -1].tolist()):
        carried[block] = before
        before = fade * before + last
    decayed: Floats = carried[:, None] * keep ** np.arange(1, _BLOCK + 1)
    return (within + decayed).reshape(-1)[: len(values)]


def _last(values: Floats, alpha: float, start: float | None) -> float:
    """Return the last value of `ewma`."""
    return float(ewma(values[-_MEMORY:], alpha, start if len(values) <= _MEMORY else float(values[-_MEMORY]))[-1])


class SpikeFilter:
    """Replaces the three samples after a change of range by a running average; keeps its state between arrays."""

    def __init__(self) -> None:
        self._average: float | None = None
        self._average_4: float | None = None
        self._range: int | None = None
        self._since = _NO_CHANGE

    def apply(self, amperes: Floats, ranges: np.ndarray[Any, np.dtype[np.intp]]) -> tuple[Floats, int]:
        """Filter the samples that follow those of the call before.

        Args:
            amperes: shape (n,).
            ranges: range of each, 0 to 4, shape (n,).

        Returns:
            The filtered samples, and how often the range changed.
        """
        count = len(amperes)
        if count == 0:
            return amperes, 0
        first = int(ranges[0]) if self._range is None else self._range
        changed = np.diff(ranges, prepend=first) != 0
        changes = int(np.count_nonzero(changed))
        self._range = int(ranges[-1])
        if changes == 0 and self._since >= _SAMPLES:
            self._average = _last(amperes, _ALPHA, self._average)
            self._average_4 = _last(amperes, _ALPHA_RANGE_4, self._average_4)
            self._since += count
            return amperes, 0
        place = np.arange(count)
        latest = np.maximum.accumulate(np.where(changed, place, -self._since - 1))
        age = place - latest  # samples since the last change; 0 at the change itself
        self._since = int(age[-1])
        replaced = age < _SAMPLES
        # In the highest range the first two samples after a change are so wrong that no average takes them in.
        kept = ~(replaced & (ranges == _TOP_RANGE) & (age < 2))
        averages = []
        for alpha, state in ((_ALPHA, self._average), (_ALPHA_RANGE_4, self._average_4)):
            start = float(amperes[0]) if state is None else state
            steps = np.concatenate(([start], ewma(amperes[kept], alpha, state) if kept.any() else []))
            averages.append(steps[np.cumsum(kept)])
        self._average, self._average_4 = float(averages[0][-1]), float(averages[1][-1])
        smooth = np.where(ranges == _TOP_RANGE, averages[1], averages[0])
        return np.where(replaced, smooth, amperes), changes
