"""Which board of a night a case may go to next, and when a case or a board has had its chances: pure functions.

A try is one case on one board. What several tries say together tells a bad board from a bad image: a board that failed
with a case which another one has measured is bad, or was, and its failures speak against no image.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from harness.health.trial import may_be_the_image

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from harness.farm.night import PlannedCase

Outcome = Literal["done", "failed", "lost", "unavailable"]

#: So many boards may fail with a case before its image is to blame.
BOARDS: Final = 3
#: So many workers may die of a case; some die of something else, such as a power cut.
DEATHS: Final = 5
#: So many cases in a row may fail on a board, or kill its worker, before the night goes on without it.
FAILURES: Final = 3
#: A case may take so many times what it took in past runs, but at least so many seconds, before it is taken to hang.
TIMES, LEAST_S = 20.0, 900.0


@dataclass(frozen=True)
class Try:
    """One case on one board.

    Attributes:
        case: number of the case; -1 for a check of the board.
        device: name of the board.
        outcome: `done`: the case has its result; `failed`: the board did; `lost`: the worker died or hung;
            `unavailable`: the board couldn't be had, which is nobody's fault.
        error: class of the error that ended it.
        reason: the same in words.
    """

    case: int
    device: str
    outcome: Outcome
    error: str | None = None
    reason: str | None = None


@dataclass
class Standing:
    """What the tries of a case say about it.

    Attributes:
        done: whether it has its result.
        failed: why each board that failed couldn't measure it.
        doubting: boards whose failure speaks against its image: it ran on them, and they aren't known to be bad.
        deaths: how many workers died of it.
    """

    done: bool = False
    failed: dict[str, str] = field(default_factory=dict)
    doubting: set[str] = field(default_factory=set)
    deaths: int = 0

    @property
    def hopeless(self) -> bool:
        """Whether so much went wrong with it that it isn't tried again."""
        return len(self.doubting) >= BOARDS or self.deaths >= DEATHS

    def open_to(self, device: str) -> bool:
        """Whether a board may still measure it."""
        return not self.done and not self.hopeless and device not in self.failed


def standings(tries: Iterable[Try], done: Collection[int] = ()) -> defaultdict[int, Standing]:
    """Return the standing of each case by its number.

    Args:
        tries: in the order in which they ended.
        done: cases whose result is written, whatever the tries say: that is what counts.
    """
    found: defaultdict[int, Standing] = defaultdict(Standing)
    for number in done:
        found[number].done = True
    for one in tries:
        case = found[one.case]
        if one.outcome == "failed":
            case.failed[one.device] = one.reason or "failed"
            if may_be_the_image(one.error or ""):
                case.doubting.add(one.device)
        elif one.outcome == "lost":
            case.deaths += 1
    bad = {device for case in found.values() if case.done for device in case.failed}
    for case in found.values():
        case.doubting -= bad
    return found


def next_case(
    device: str,
    cases: Sequence[PlannedCase],
    cases_now: Mapping[int, Standing],
    running: Collection[int],
    others: Collection[str],
    left_s: float,
) -> PlannedCase | None:
    """Return the case that a free board should measure next; None if there is none for it at the moment.

    Bad boards fail fast and are free while good ones measure. So a board that has failed takes what no board has failed
    with first, and leaves what others failed with to boards that haven't failed, as long as one is there for it.

    Args:
        device: name of the board.
        cases: in the order in which they should be begun.
        cases_now: the standing of each case, from `standings`.
        running: numbers of the cases that are being measured.
        others: names of the other boards that are in use by the night.
        left_s: seconds until the night is over.
    """
    suspects = {name for case in cases_now.values() for name in case.failed}
    candidates = [
        case
        for case in cases
        if device in case.devices
        and case.number not in running
        and cases_now[case.number].open_to(device)
        and (case.seconds or 0.0) < left_s
    ]
    if device not in suspects:
        return candidates[0] if candidates else None
    for case in sorted(candidates, key=lambda case: bool(cases_now[case.number].failed)):
        state = cases_now[case.number]
        better = [name for name in others if name in case.devices and name not in suspects and state.open_to(name)]
        if not state.failed or not better:
            return case
    return None


def failures_in_a_row(device: str, tries: Sequence[Try]) -> int:
    """Return how many cases or checks in a row have failed on a board, or killed its worker, up to now.

    A failure with a case that failed on other boards too, and that none has measured, may be the image's: it neither
    counts nor ends the row.
    """
    states = standings(tries, {one.case for one in tries if one.outcome == "done"})
    count = 0
    for one in reversed(tries):
        if one.device != device or one.outcome == "unavailable":
            continue
        if one.outcome == "done":
            break
        state = states[one.case]
        image = one.case >= 0 and not state.done and len(state.failed) > 1 and may_be_the_image(one.error or "")
        count += not image
    return count


def limit_s(case: PlannedCase, least_s: float = LEAST_S) -> float:
    """Return after how many seconds a case is taken to hang."""
    return max(least_s, TIMES * (case.seconds or 0.0))
