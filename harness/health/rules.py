"""The rules: what trials say about boards and images, and whether a board is taken out of use. No files, no clock."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import pairwise
from statistics import fmean, median
from typing import TYPE_CHECKING, Literal

from harness.health.drift import Drift, drifts
from harness.health.trial import Trial, layer_of, may_be_the_image
from harness.metrics.shares import wilson_interval

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from harness.config.health import HealthRules
    from harness.health.trial import Layer

Culprit = Literal["board", "image", "undecided"]
#: Kind, backend and image: boards of different kinds or backends say nothing about each other.
Work = tuple[str, str, str]
State = Literal["well", "suspect", "quarantined", "unknown"]
_NO_CHIP = "0" * 16


@dataclass(frozen=True)
class Rate:
    """How many of some cases the infrastructure carried through, with the 95 % Wilson interval of the share."""

    ok: int
    cases: int
    low: float
    high: float

    @property
    def share(self) -> float:
        """Share of the cases, 0 to 1."""
        return self.ok / self.cases


@dataclass(frozen=True)
class Ground:
    """Why a board is taken out of use, and the cases that show it."""

    reason: str
    evidence: tuple[str, ...]


@dataclass(frozen=True)
class Health:
    """What is known of a board over the window of the rules, on the backend that it ran on last.

    Attributes:
        device: its name.
        state: in one word.
        cases: cases and health checks.
        rate: how often the infrastructure worked, without what isn't the board's; None if nothing counts.
        recent: the same of its last counted cases, `recent_cases` of them.
        attempts: mean number of attempts; None without cases.
        retransmissions: mean number of frames sent again; None if no case came that far.
        failures: share of all cases that failed in the link, the probe, flashing or elsewhere.
        duration: median over its images of its duration / the siblings'; None if no sibling ran the same.
        drift: against siblings, the largest first.
        excused: failures that are a suspect image's.
        undecided: failures that may be the board's or the image's.
        in_a_row: counted failures since the last success.
        last: the newest trial.
        notes: what a person should know, in words.
        grounds: on which to quarantine it.
    """

    device: str
    state: State = "unknown"
    cases: int = 0
    rate: Rate | None = None
    recent: Rate | None = None
    attempts: float | None = None
    retransmissions: float | None = None
    failures: Mapping[Layer, float] = field(default_factory=dict)
    duration: float | None = None
    drift: tuple[Drift, ...] = ()
    excused: int = 0
    undecided: int = 0
    in_a_row: int = 0
    last: Trial | None = None
    notes: tuple[str, ...] = ()
    grounds: tuple[Ground, ...] = ()


@dataclass(frozen=True)
class Blame:
    """Whose fault the failures among some trials were.

    Attributes:
        culprits: of each failure. "undecided": only this board has run the image, and it never worked.
        suspects: the boards that each suspect image failed on, sorted.
    """

    culprits: Mapping[Trial, Culprit]
    suspects: Mapping[Work, tuple[str, ...]]

    def counts(self, trial: Trial) -> bool:
        """Whether a trial counts for or against its board: a success, or a failure of the board."""
        return trial.ok or self.culprits[trial] == "board"


def blame(trials: Iterable[Trial]) -> Blame:
    """Tell bad boards from bad images.

    An image that failed on two boards of a kind or more, and has worked on none of them, is suspect: its failures don't
    count against the boards. A failure with an image that worked on a sibling, or on the board itself, is the board's.
    With one board and an image that never worked there nobody can tell, unless the image is the one that health checks
    use because it is known to work. A probe that can't be opened and flash that can't be written are never the image's
    fault.
    """
    worked: set[Work] = set()
    failures: list[Trial] = []
    failed_on: defaultdict[Work, set[str]] = defaultdict(set)
    for trial in trials:
        work = _work(trial)
        if not trial.ok:
            failures.append(trial)
        if work is not None and trial.ok:
            worked.add(work)
        elif work is not None and may_be_the_image(trial.error):
            failed_on[work].add(trial.device)
    suspects = {
        work: tuple(sorted(boards)) for work, boards in failed_on.items() if work not in worked and len(boards) > 1
    }

    def culprit(trial: Trial) -> Culprit:
        work = _work(trial)
        if work is None or not may_be_the_image(trial.error) or work in worked:
            return "board"
        if work in suspects:
            return "image"
        return "board" if trial.purpose == "check" else "undecided"

    return Blame({trial: culprit(trial) for trial in failures}, suspects)


def judge(
    trials: Iterable[Trial], rules: HealthRules, now: datetime, released: Mapping[str, datetime] | None = None
) -> dict[str, Health]:
    """Judge the boards of a lab, all of them at once: siblings tell a bad board from a bad image.

    Args:
        trials: of all boards, from `trials_of` and health checks.
        rules: the thresholds.
        now: the window ends.
        released: when boards came back from quarantine; what they did before isn't held against them again.

    Returns:
        The health of each board that has trials in the window.
    """
    start, back = now - timedelta(days=rules.window_days), released or {}
    window = sorted((trial for trial in trials if trial.when >= start), key=lambda trial: trial.when)
    fresh = [trial for trial in window if trial.device not in back or trial.when > back[trial.device]]
    blamed, drift, ratios = blame(window), drifts(fresh, rules), _durations(window)
    boards: defaultdict[str, list[Trial]] = defaultdict(list)
    for trial in window:
        boards[trial.device].append(trial)
    return {
        device: _health(
            [trial for trial in own if trial.backend == own[-1].backend],
            rules,
            blamed,
            sorted((one for one in drift if one.device == device), key=lambda one: -abs(one.ratio - 1)),
            ratios.get(device),
            back.get(device),
        )
        for device, own in boards.items()
    }


def _health(
    own: Sequence[Trial],
    rules: HealthRules,
    blamed: Blame,
    drift: Sequence[Drift],
    duration: float | None,
    since: datetime | None,
) -> Health:
    fresh = [trial for trial in own if since is None or trial.when > since]
    counted = [trial for trial in fresh if blamed.counts(trial)]
    undecided = [trial for trial in fresh if blamed.culprits.get(trial) == "undecided"]
    streak = counted[max((number for number, trial in enumerate(counted, 1) if trial.ok), default=0) :]
    grounds = (
        *_repeated(streak, rules),
        *_seldom(counted[-rules.recent_cases :], rules),
        *(Ground(f"drift: {found.text}", (found.evidence,)) for found in drift if found.finding),
        *_swapped(fresh),
        *_wrong(fresh),
    )
    frames = [trial.retransmissions for trial in own if trial.retransmissions is not None]
    layers = Counter(layer_of(trial.error) for trial in own if not trial.ok)
    return Health(
        device=own[-1].device,
        state="suspect" if grounds or streak or undecided else "well",
        cases=len(own),
        rate=_rate([trial for trial in own if blamed.counts(trial)]),
        recent=_rate(counted[-rules.recent_cases :]),
        attempts=fmean(trial.attempts for trial in own),
        retransmissions=fmean(frames) if frames else None,
        failures={layer: count / len(own) for layer, count in layers.items()},
        duration=duration,
        drift=tuple(drift),
        excused=sum(blamed.culprits.get(trial) == "image" for trial in own),
        undecided=len(undecided),
        in_a_row=len(streak),
        last=own[-1],
        notes=(*_notes(undecided, blamed, own[-1].device, fresh), *(ground.reason for ground in grounds)),
        grounds=grounds,
    )


def _rate(counted: Sequence[Trial]) -> Rate | None:
    ok = sum(trial.ok for trial in counted)
    return Rate(ok, len(counted), *wilson_interval(ok, len(counted))) if counted else None


def _repeated(streak: Sequence[Trial], rules: HealthRules) -> tuple[Ground, ...]:
    if len(streak) < rules.failures_in_a_row:
        return ()
    last = str(streak[-1].reason).partition(". ")[0]  # without the board's bytes and the advice: both are in the trial
    text = f"{len(streak)} cases failed in a row, with images that aren't to blame; the last: {last}"
    return (Ground(text, tuple(trial.reference for trial in streak)),)


def _seldom(recent: Sequence[Trial], rules: HealthRules) -> tuple[Ground, ...]:
    rate = _rate(recent)
    if rate is None or rate.cases < rules.fewest_cases or rate.high >= rules.success_rate:
        return ()
    failed = [trial for trial in recent if not trial.ok]
    text = (
        f"{rate.ok} of the last {rate.cases} cases worked (95 % interval up to {rate.high:.0%}, and "
        f"{rules.success_rate:.0%} are expected); the last failure: {failed[-1].reason}"
    )
    return (Ground(text, tuple(trial.reference for trial in failed)),)


def _swapped(fresh: Sequence[Trial]) -> tuple[Ground, ...]:
    for before, after in pairwise(trial for trial in fresh if trial.board_uid not in (None, _NO_CHIP)):
        if before.board_uid != after.board_uid:
            text = (
                f"the board was swapped: chip {after.board_uid} answered on {after.when:%Y-%m-%d %H:%M} UTC, chip "
                f"{before.board_uid} before; its history is another board's"
            )
            return (Ground(text, (before.reference, after.reference)),)
    return ()


def _wrong(fresh: Sequence[Trial]) -> tuple[Ground, ...]:
    """Find a health check with wrong answers: the image is known to work, so that one is enough."""
    checks = [trial for trial in fresh if trial.purpose == "check"]
    if not checks or checks[-1].error != "MeasurementError":
        return ()
    return (Ground(f"wrong answers: {checks[-1].reason}", (checks[-1].reference,)),)


def _notes(undecided: Sequence[Trial], blamed: Blame, device: str, fresh: Sequence[Trial]) -> Iterable[str]:
    if undecided:
        images = len({trial.image_sha256 for trial in undecided})
        yield (
            f"undecided: {len(undecided)} failures with {images} images that have worked nowhere and ran on no other "
            f"board; `hil health {device} --check` tells the board from the image"
        )
    ran = {_work(trial) for trial in fresh}
    for work, boards in blamed.suspects.items():
        if work in ran and device in boards:
            yield f"image {work[2][:12]} is suspect: it failed on {', '.join(boards)} and has worked on none"


def _durations(window: Iterable[Trial]) -> dict[str, float]:
    """Return how much longer a board's cases take than its siblings' with the same image on the same inputs."""
    times: defaultdict[object, defaultdict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for trial in window:
        if trial.ok and trial.duration_s and trial.image_sha256:
            times[_work(trial), trial.purpose, trial.inputs_sha256][trial.device].append(trial.duration_s)
    ratios: defaultdict[str, list[float]] = defaultdict(list)
    for boards in times.values():
        for device, own in boards.items():
            others = [seconds for name, theirs in boards.items() if name != device for seconds in theirs]
            if others:
                ratios[device].append(median(own) / median(others))
    return {device: median(found) for device, found in ratios.items()}


def _work(trial: Trial) -> Work | None:
    """Return what ran in a trial; None if no image did."""
    return None if trial.image_sha256 is None else (trial.kind, trial.backend, trial.image_sha256)
