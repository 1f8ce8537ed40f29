"""Batches in the stream of a monitor that marks only where they end."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from harness.power.base import Chunk, join
from harness.power.pulses import Capture, PulseFinder

if TYPE_CHECKING:
    from collections.abc import Sequence


class MarkFinder:
    """Keeps the samples until it is known how long each batch took, then looks for the batches.

    Args:
        sync_input: which input carries the marks: high at the last sample of a batch.
        idle_samples: how long the board idles before the first batch and after the last, in samples.
        rate_hz: sample rate, per second.
    """

    def __init__(self, sync_input: int, idle_samples: int, rate_hz: float) -> None:
        self._finder = PulseFinder(sync_input, idle_samples)
        self._bit = 1 << sync_input
        self._rate_hz = rate_hz
        self._chunks: list[Chunk] = []
        self._marks = self._behind = 0

    def feed(self, chunk: Chunk) -> None:
        """Take the samples that follow those of the last call."""
        self._chunks.append(chunk)
        marks = np.flatnonzero(chunk.logic & self._bit)
        self._behind = self._behind + len(chunk) if marks.size == 0 else len(chunk) - int(marks[-1]) - 1
        self._marks += marks.size

    def has_idled(self, batches: int) -> bool:
        """Tell from another thread whether the idle time behind the last of so many batches has come, or no batch."""
        return self._marks == 0 or (self._marks >= batches and self._behind >= self._finder.least_idle)

    def finish(self, seconds: Sequence[float]) -> Capture:
        """Return what was found.

        Args:
            seconds: how long each batch took by the board's count.
        """
        whole = join(self._chunks)
        if whole is not None:
            ends = np.flatnonzero(whole.logic & self._bit) + 1
            logic = np.where(whole.logic & self._bit, self._bit, 0).astype(np.uint8)
            if len(ends) == len(seconds):
                for end, duration in zip(ends.tolist(), seconds, strict=True):
                    logic[max(end - round(duration * self._rate_hz), 0) : end] = self._bit
            self._finder.feed(replace(whole, logic=logic))
        return self._finder.finish()
