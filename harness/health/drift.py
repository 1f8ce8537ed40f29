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
        if len(boards) <= rules.siblings:
            continue
        last = {device: own[-1] for device, own in boards.items()}
        real = next(iter(last.values())).backend == "hardware"
        ticks = {
            device: median(one.ticks_median or 0.0 for one in (own[-_LAST_CASES:] if real else own[-1:]))
            for device, own in boards.items()
        }
        judged = _cycles(ticks, rules) if real else _instructions(ticks)
        found += [
            Drift(device, last[device].image_sha256 or "", last[device].counter or "", ticks[device], expected,
                  len(boards) - 1, finding, last[device].reference)
            for device, (expected, finding) in judged.items()
        ]  # fmt: skip
    return tuple(found)


def _cycles(ticks: Mapping[str, float], rules: HealthRules) -> dict[str, tuple[float, bool]]:
    """Return what is expected of each board, and whether it is off by more than the thresholds."""
    found = {}
    for device, own in ticks.items():
        others = [value for other, value in ticks.items() if other != device]
        expected = median(others)
        spread, off = median(abs(value - expected) for value in others), abs(own - expected)
        found[device] = (expected, off > rules.drift * expected and off > rules.drift_spreads * spread)
    return found


def _instructions(ticks: Mapping[str, float]) -> dict[str, tuple[float, bool]]:
    """Emulators are the same to the instruction: what most count is right; without a majority nobody can say."""
    ((common, votes),) = Counter(ticks.values()).most_common(1)
    return {device: (common, own != common) for device, own in ticks.items()} if 2 * votes > len(ticks) else {}
