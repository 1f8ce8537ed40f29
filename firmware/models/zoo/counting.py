"""What a number of right answers says, and what two models' answers to the same inputs say."""

from __future__ import annotations

from math import comb, sqrt
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Z95 = 1.959964


def interval(right: int, total: int) -> tuple[float, float]:
    """Return the 95 % interval of the share of right answers, 0 to 1 (Wilson, 1927)."""
    share, square = right / total, Z95**2 / total
    middle = (share + square / 2) / (1 + square)
    half = Z95 / (1 + square) * sqrt(share * (1 - share) / total + square / (4 * total))
    return middle - half, middle + half


def sign_test(gained: int, lost: int) -> float:
    """Return the two-sided p of the exact McNemar test.

    Args:
        gained: inputs that only the first model gets right.
        lost: inputs that only the second one gets right.
    """
    total = gained + lost
    if total == 0:
        return 1.0
    tail = sum(comb(total, k) for k in range(min(gained, lost) + 1)) * 2
    return min(1.0, float(tail / 2**total))


def area_under_roc(scores: NDArray[np.float64], positive: NDArray[np.bool_]) -> float:
    """Return the share of pairs of a positive and a negative whose positive has the greater score; a tie is half."""
    above = scores[positive][:, np.newaxis] - scores[~positive]
    return float(np.mean((above > 0) + (above == 0) / 2))


def mean_of_groups(values: NDArray[np.float64], groups: NDArray[Any]) -> NDArray[np.float64]:
    """Return the mean of each group's values, in the order of the groups' numbers."""
    _, which = np.unique(groups, return_inverse=True)
    return np.bincount(which, values) / np.bincount(which)
