"""Whether a model knows more than which class is the most frequent: without that, an accuracy means nothing."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from harness.config.subset import majority_share
from harness.report.stats import holm

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

#: Chance of taking any of several guessing variants for one that isn't.
_RISK: Final = 0.05


def guessing(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the rows that are not shown to be better than always answering the most frequent class.

    Against that share of the labels, each accuracy has an exact one-sided binomial test. The share is at least
    1 / classes, and no answer that doesn't look at the input is right more often. Several variants are tested together
    (Holm 1979), so that of any number of variants that guess, one passes in at most 5 % of the cases.

    Args:
        rows: complete cases of one suite on one setup, as columns of the case table; those without `majority_share`,
            of older runs, are left out.
    """
    known = [row for row in rows if row.get("majority_share") is not None and row.get("accuracy") is not None]
    tails = [
        binomial_tail(round(row["accuracy"] * row["samples"]), int(row["samples"]), row["majority_share"])
        for row in known
    ]
    return [row for row, passed in zip(known, _passed(tails), strict=True) if not passed]


def guessed(correct: Sequence[int], labels: NDArray[np.int64]) -> bool:
    """Whether none of several models is shown to be better than always answering the most frequent class.

    Args:
        correct: how many of the inputs each has right.
        labels: of the inputs, shape [N].
    """
    share = majority_share(labels)
    return not any(_passed([binomial_tail(count, len(labels), share) for count in correct]))


def always_right(labels: NDArray[np.int64]) -> str:
    """Return in words what always answering the most frequent class scores."""
    return _always(f"{100 * majority_share(labels):.1f}")


def _always(percents: str) -> str:
    return f"always answering the most frequent class of these labels ({percents} % right)"


def _passed(tails: Sequence[float]) -> list[bool]:
    """Return which of several tests rule out chance, all of them taken into account (Holm 1979)."""
    return [value <= _RISK for value in holm(tails)]


def binomial_tail(successes: int, trials: int, share: float) -> float:
    """Return the chance of at least so many successes, each of which has the chance `share`.

    Args:
        successes: 0 to `trials`.
        trials: how many predictions there were.
        share: probability of each to be right, 0 to 1.
    """
    if successes <= 0 or share >= 1:
        return 1.0
    if share <= 0:
        return 0.0
    logs = math.log(share), math.log1p(-share)

    def chance(k: int) -> float:
        ways = math.lgamma(trials + 1) - math.lgamma(k + 1) - math.lgamma(trials - k + 1)
        return math.exp(ways + k * logs[0] + (trials - k) * logs[1])

    return min(1.0, math.fsum(chance(k) for k in range(successes, trials + 1)))


def guessing_sentence(rows: Sequence[Mapping[str, Any]], total: int) -> str:
    """Say that variants are not better than guessing, and what guessing gives.

    Args:
        rows: what `guessing` returned, at least one.
        total: variants that were looked at.
    """
    names = ", ".join(str(row["variant"]) for row in rows)
    shares = sorted({f"{100 * row['majority_share']:.1f}" for row in rows}, key=float)
    always = _always(" to ".join(shares))
    if len(rows) == total > 1:
        return f"No variant is shown to be better than {always}: their accuracies may be chance"
    verb = "is" if len(rows) == 1 else "are"
    return f"{names} {verb} not shown to be better than {always}: an accuracy like that may be chance"
