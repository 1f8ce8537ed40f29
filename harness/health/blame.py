"""Whose fault a failure was: the board's or the image's. Siblings tell."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from harness.health.trial import Trial, may_be_the_image

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Culprit = Literal["board", "image", "undecided"]
#: Kind, backend and image: boards of different kinds or backends say nothing about each other.
Work = tuple[str, str, str]


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
        work = work_of(trial)
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
        work = work_of(trial)
        if work is None or not may_be_the_image(trial.error) or work in worked:
            return "board"
        if work in suspects:
            return "image"
        return "board" if trial.purpose == "check" else "undecided"

    return Blame({trial: culprit(trial) for trial in failures}, suspects)


def work_of(trial: Trial) -> Work | None:
    """Return what ran in a trial; None if no image did."""
    return None if trial.image_sha256 is None else (trial.kind, trial.backend, trial.image_sha256)
