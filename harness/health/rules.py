"""What the events of a board say about it: its health, and whether it is taken out of use. No files, no clock."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING, Literal

from harness.farm.blame import Blame, blame
from harness.health.drift import Drift, drifts
from harness.health.event import layer_of
from harness.measure.accuracy import wilson_interval

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from harness.config.health import HealthRules
    from harness.health.event import Event, Layer

State = Literal["well", "suspect", "quarantined", "unknown"]
_NO_CHIP = "0" * 16
_Work = tuple[str, str, str, str | None, str | None]


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
    """A board over the window of the rules, on the backend that it ran on last.

    Attributes:
        state: "suspect" if something is wrong that isn't enough for quarantine, or that can't be decided.
        cases: how many there were, whoever is to blame for failures.
        rate: of the cases that count; None if there are none. `recent` is that of the last few.
        attempts: per case.
        retransmissions: per case that had a link; None if there was none.
        failures: share of all cases that failed in the link, the probe, flashing or elsewhere.
        duration: median over its variants of its duration / the siblings'; None if no sibling ran the same.
        drift: against siblings, the largest first.
        excused: failures that are a suspect image's.
        undecided: failures that may be the board's or the image's.
        in_a_row: counted failures since the last success.
        last: the newest event.
        notes: what a person should know, in words.
    """

    device: str
    state: State
    cases: int
    rate: Rate | None
    recent: Rate | None
    attempts: float | None
    retransmissions: float | None
    failures: Mapping[Layer, float]
    duration: float | None
    drift: tuple[Drift, ...]
    excused: int
    undecided: int
    in_a_row: int
    last: Event | None
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Evidence:
    """What there is to judge the boards of a lab by, sorted once for all of them; from `gather`.

    Attributes:
        rules: the thresholds.
        window: the events that are young enough, by board, in the order of time.
        released: when boards came back from quarantine.
        blame: whose fault the failures were.
        drift: of all boards.
        durations: of the successes: board and seconds, by what ran.
    """

    rules: HealthRules
    window: Mapping[str, Sequence[Event]]
    released: Mapping[str, datetime]
    blame: Blame
    drift: Sequence[Drift]
    durations: Mapping[_Work, Sequence[tuple[str, float]]]


def gather(
    events: Sequence[Event], rules: HealthRules, now: datetime, released: Mapping[str, datetime] | None = None
) -> Evidence:
    """Sort the events of all boards of a lab, since siblings tell a bad board from a bad image.

    Args:
        events: of all boards.
        rules: the thresholds.
        now: the window ends.
        released: when boards came back from quarantine; what they did before isn't held against them again.
    """
    start = now - timedelta(days=rules.window_days)
    young = sorted((event for event in events if event.when >= start), key=lambda event: event.when)
    window: defaultdict[str, list[Event]] = defaultdict(list)
    durations: defaultdict[_Work, list[tuple[str, float]]] = defaultdict(list)
    for event in young:
        window[event.device].append(event)
        if event.ok and event.duration_s and event.image_sha256:
            durations[_work(event)].append((event.device, event.duration_s))
    back = released or {}
    fresh = [event for event in young if event.device not in back or event.when > back[event.device]]
    return Evidence(rules, window, back, blame(young), drifts(fresh, rules), durations)


def judge(device: str, evidence: Evidence) -> tuple[Health, tuple[Ground, ...]]:
    """Judge a board.

    Args:
        device: its name.
        evidence: of its lab.

    Returns:
        Its health, with the state "well", "suspect" or "unknown", and the grounds on which to quarantine it.
    """
    rules, blamed = evidence.rules, evidence.blame
    own = evidence.window.get(device, ())
    own = [event for event in own if event.backend == own[-1].backend]
    since = evidence.released.get(device)
    fresh = [event for event in own if since is None or event.when > since]
    mine, new = {id(event) for event in own}, {id(event) for event in fresh}
    counted = [event for event in blamed.counted if id(event) in new]
    streak = _streak(counted)
    drift = tuple(found for found in evidence.drift if found.device == device)
    recent = _rate(counted[-rules.recent_cases :])
    grounds = (
        *_repeated(streak, rules),
        *_seldom(recent, counted[-rules.recent_cases :], rules),
        *(Ground(f"drift: {found.text}", (found.evidence,)) for found in drift if found.finding),
        *_swapped(fresh),
        *_wrong(fresh),
    )
    undecided = [event for event in blamed.undecided if id(event) in new]
    notes = (*_notes(undecided, blamed, device, fresh), *(ground.reason for ground in grounds))
    linked = [event.retransmissions for event in own if event.retransmissions is not None]
    layers = Counter(layer_of(event.error) for event in own if not event.ok)
    health = Health(
        device=device,
        state="unknown" if not own else "suspect" if grounds or streak or undecided else "well",
        cases=len(own),
        rate=_rate([event for event in blamed.counted if id(event) in mine]),
        recent=recent,
        attempts=sum(event.attempts for event in own) / len(own) if own else None,
        retransmissions=sum(linked) / len(linked) if linked else None,
        failures={layer: count / len(own) for layer, count in layers.items()},
        duration=_duration(device, own, evidence),
        drift=tuple(sorted(drift, key=lambda found: -abs(found.ratio - 1))),
        excused=sum(id(event) in mine for event in blamed.excused),
        undecided=len(undecided),
        in_a_row=len(streak),
        last=own[-1] if own else None,
        notes=notes,
    )
    return health, grounds


def _rate(counted: Sequence[Event]) -> Rate | None:
    if not counted:
        return None
    ok = sum(event.ok for event in counted)
    return Rate(ok, len(counted), *wilson_interval(ok, len(counted)))


def _streak(counted: Sequence[Event]) -> list[Event]:
    """Return the failures since the last success."""
    last = max((number for number, event in enumerate(counted, 1) if event.ok), default=0)
    return list(counted[last:])


def _repeated(streak: Sequence[Event], rules: HealthRules) -> tuple[Ground, ...]:
    if len(streak) < rules.failures_in_a_row:
        return ()
    last = _first_sentence(streak[-1].reason)
    text = f"{len(streak)} cases failed in a row, with images that aren't to blame; the last: {last}"
    return (Ground(text, tuple(event.reference for event in streak)),)


def _seldom(rate: Rate | None, recent: Sequence[Event], rules: HealthRules) -> tuple[Ground, ...]:
    if rate is None or rate.cases < rules.fewest_cases or rate.high >= rules.success_rate:
        return ()
    failed = [event for event in recent if not event.ok]
    text = (
        f"{rate.ok} of the last {rate.cases} cases worked (95 % interval up to {rate.high:.0%}, and "
        f"{rules.success_rate:.0%} are expected); the last failure: {failed[-1].reason}"
    )
    return (Ground(text, tuple(event.reference for event in failed)),)


def _swapped(fresh: Sequence[Event]) -> tuple[Ground, ...]:
    seen = [event for event in fresh if event.board_uid not in (None, _NO_CHIP)]
    for before, after in pairwise(seen):
        if before.board_uid != after.board_uid:
            text = (
                f"the board was swapped: chip {after.board_uid} answered on {after.when:%Y-%m-%d %H:%M} UTC, chip "
                f"{before.board_uid} before; its history is another board's"
            )
            return (Ground(text, (before.reference, after.reference)),)
    return ()


def _wrong(fresh: Sequence[Event]) -> tuple[Ground, ...]:
    """Find a health check with wrong answers: the image is known to work, so that one is enough."""
    checks = [event for event in fresh if event.purpose == "check"]
    if not checks or checks[-1].error != "MeasurementError":
        return ()
    return (Ground(f"wrong answers: {checks[-1].reason}", (checks[-1].reference,)),)


def _notes(undecided: Sequence[Event], blamed: Blame, device: str, fresh: Sequence[Event]) -> tuple[str, ...]:
    notes = []
    if undecided:
        images = len({event.image_sha256 for event in undecided})
        notes.append(
            f"undecided: {len(undecided)} failures with {images} images that have worked nowhere and ran on no other "
            f"board; `hil health {device} --check` tells the board from the image"
        )
    ran = {(event.backend, event.image_sha256) for event in fresh}
    notes += [
        f"image {image.image_sha256[:12]} is suspect: it failed on {', '.join(image.boards)} and has worked on none"
        for image in blamed.images
        if (image.backend, image.image_sha256) in ran and device in image.boards
    ]
    return tuple(notes)


def _duration(device: str, own: Sequence[Event], evidence: Evidence) -> float | None:
    """Return how much longer the board's cases take than its siblings'."""
    ratios = []
    for work in {_work(event) for event in own} & set(evidence.durations):
        times = evidence.durations[work]
        ours = [seconds for name, seconds in times if name == device]
        theirs = [seconds for name, seconds in times if name != device]
        if ours and theirs:
            ratios.append(median(ours) / median(theirs))
    return median(ratios) if ratios else None


def _work(event: Event) -> _Work:
    """Say what ran: cases of the same work take equally long on equal boards."""
    return event.kind, event.backend, event.purpose, event.image_sha256, event.inputs_sha256


def _first_sentence(reason: str | None) -> str:
    """Leave out what a board's bytes were, and the advice: both are in the event."""
    return str(reason).partition(". ")[0]
