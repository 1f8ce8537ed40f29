"""What a number of right answers says, and what two models' answers to the same inputs say."""

from __future__ import annotations

from math import comb, sqrt

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
