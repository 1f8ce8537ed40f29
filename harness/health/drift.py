"""Boards that count otherwise than their siblings, though they ran the same image on the same inputs."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from harness.config.health import HealthRules
    from harness.health.trial import Trial

#: A real board is judged by the median of its last cases; an emulator repeats, so that the last one says it all.
_LAST_CASES = 5


@dataclass(frozen=True)
class Drift:
    """One image on one board against its siblings.

    Attributes:
        device: which board.
        image_sha256: which image.
        counter: what its ticks are: cycles or instructions.
        ticks: of this board.
        expected: of the siblings: their median; of emulators what most boards counted.
        siblings: how many others ran it.
        finding: whether it is beyond the thresholds.
        evidence: the case that the board's ticks are from.
    """

    device: str
    image_sha256: str
    counter: str
    ticks: float
    expected: float
    siblings: int
    finding: bool
    evidence: str

    @property
    def ratio(self) -> float:
        """This board's ticks / the siblings'."""
        return self.ticks / self.expected

    @property
    def text(self) -> str:
        """What was found, in words."""
        return (
            f"{self.ticks:,.10g} {self.counter} with image {self.image_sha256[:12]}, where {self.siblings} boards of "
            f"its kind count {self.expected:,.10g} ({self.ratio - 1:+.2%})"
        )


def drifts(trials: Iterable[Trial], rules: HealthRules) -> tuple[Drift, ...]:
    """Compare each board with those of its kind and backend that ran the same image on the same inputs.

    Only cases of one version of the harness, one counter and one announced clock are compared. On hardware the ticks
    are cycles, so a clock that is off doesn't show here (the health check holds the counter against the computer's
    clock); wait states, caches, and a counter that runs at another rate than the CPU do.

    Args:
        trials: of any boards, in the order of time; successes with ticks are used, and the last ones of a board only.
        rules: `drift`, `drift_spreads` and `siblings` are the thresholds.

    Returns:
        One for each board and image that enough siblings ran.
    """
    groups: defaultdict[tuple[object, ...], defaultdict[str, list[Trial]]] = defaultdict(lambda: defaultdict(list))
    for one in trials:
        if one.ok and one.ticks_median and one.image_sha256 and one.counter:
            same = (one.kind, one.backend, one.purpose, one.image_sha256, one.inputs_sha256, one.harness_version)
            groups[*same, one.counter, one.clock_hz][one.device].append(one)
    found: list[Drift] = []
    for boards in groups.values():
        if len(boards) > rules.siblings:
            real = next(iter(boards.values()))[0].backend == "hardware"
            found += _cycles(boards, rules) if real else _instructions(boards)
    return tuple(found)


def _cycles(boards: Mapping[str, list[Trial]], rules: HealthRules) -> Iterable[Drift]:
    ticks = {device: median(_ticks(trial) for trial in own[-_LAST_CASES:]) for device, own in boards.items()}
    for device, own in ticks.items():
        others = [value for other, value in ticks.items() if other != device]
        expected = median(others)
        spread, off = median(abs(value - expected) for value in others), abs(own - expected)
        finding = off > rules.drift * expected and off > rules.drift_spreads * spread
        yield _drift(boards[device][-1], own, expected, len(others), finding=finding)


def _instructions(boards: Mapping[str, list[Trial]]) -> Iterable[Drift]:
    """Emulators are the same to the instruction: what most count is right; without a majority nobody can say."""
    ticks = {device: _ticks(own[-1]) for device, own in boards.items()}
    ((common, votes),) = Counter(ticks.values()).most_common(1)
    if 2 * votes > len(ticks):
        for device, own in ticks.items():
            yield _drift(boards[device][-1], own, common, len(ticks) - 1, finding=own != common)


def _drift(last: Trial, ticks: float, expected: float, siblings: int, *, finding: bool) -> Drift:
    image, counter = last.image_sha256 or "", last.counter or ""
    return Drift(last.device, image, counter, ticks, expected, siblings, finding, last.reference)


def _ticks(trial: Trial) -> float:
    return trial.ticks_median or 0.0
