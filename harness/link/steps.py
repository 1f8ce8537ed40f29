"""The steps of sequences as one stream, until each sequence is answered as a whole."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from harness.link.messages import Inference


@dataclass(frozen=True, slots=True)
class Step:
    """One input of a sequence.

    Attributes:
        data: the bytes of all input tensors.
        first, last: where it stands in its sequence.
    """

    data: bytes
    first: bool
    last: bool


class Steps:
    """The steps that aren't answered yet, in order. Sequences are taken from their source as late as possible.

    Args:
        sequences: each of one step at least.
    """

    def __init__(self, sequences: Iterable[Sequence[bytes]]) -> None:
        self._coming = _steps(sequences)
        self._waiting: deque[Step] = deque()
        self._begun: list[Step] = []  # of the sequence that is answered in part
        self._results: list[Inference] = []

    def ahead(self, count: int, behind: int = 0) -> list[Step]:
        """Return up to `count` of the steps that wait, without the first `behind` of them."""
        self._waiting.extend(islice(self._coming, max(0, behind + count - len(self._waiting))))
        return list(islice(self._waiting, behind, behind + count))

    def answer(self, results: Iterable[Inference]) -> list[list[Inference]]:
        """Note the results of the first steps that wait. Returns those of the sequences that are complete by them."""
        complete = []
        for result in results:
            step = self._waiting.popleft()
            self._begun.append(step)
            self._results.append(result)
            if step.last:
                complete.append(self._results)
                self._begun, self._results = [], []
        return complete

    def begin_anew(self) -> None:
        """Forget the results of the sequence that is answered in part: all of its steps wait again."""
        self._waiting.extendleft(reversed(self._begun))
        self._begun, self._results = [], []


def _steps(sequences: Iterable[Sequence[bytes]]) -> Iterator[Step]:
    for sequence in sequences:
        for number, data in enumerate(sequence):
            yield Step(data, number == 0, number == len(sequence) - 1)
