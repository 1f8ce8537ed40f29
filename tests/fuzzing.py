"""Made-up and damaged input for a parser: how many cases, and where they come from. tests/**/test_*fuzz*.py use it."""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING, TypeVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hypothesis.strategies import SearchStrategy

Value = TypeVar("Value")

#: The same cases on every computer, in memory only, and no limit of time for one of them: a computer may stand still.
settings.register_profile(
    "hil", derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck)
)
settings.load_profile("hil")


def amounts(quick: int = 1000, many: int = 10_000) -> pytest.MarkDecorator:
    """Give a test its number of `cases`: once for the fast run, and once, marked slow, for the long one.

    Args:
        quick: takes a second or two.
        many: takes up to 20 seconds. The environment variable HIL_FUZZ, say 1000000, replaces it.
    """
    said = os.environ.get("HIL_FUZZ")
    slow = pytest.param(int(said) if said else many, id="many", marks=pytest.mark.slow)
    return pytest.mark.parametrize("cases", [pytest.param(quick, id="quick"), slow])


def fuzz(cases: int, values: SearchStrategy[Value], check: Callable[[Value], object]) -> None:
    """Call `check` with so many values; what it raises fails the test, with the smallest value that does it."""

    @settings(max_examples=cases)
    @given(values)
    def every(value: Value) -> None:
        check(value)

    every()


def damaged(*good: bytes) -> SearchStrategy[bytes]:
    """Make bytes that were good, before one to four accidents: flipped, lost, repeated or foreign bytes, an early end.

    What happens is drawn at once, by one number: with hypothesis drawing each part, a case takes ten times as long.
    """
    return chances().map(lambda chance: spoil(chance, good))


def chances() -> SearchStrategy[random.Random]:
    """Make generators of random numbers, for a test that makes its cases itself."""
    return st.integers(0, 2**64 - 1).map(_Chance)


class _Chance(random.Random):
    """Says its seed when a test has failed with it."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self._seed = seed

    def __repr__(self) -> str:
        return f"random.Random({self._seed})"


def spoil(chance: random.Random, good: Sequence[bytes]) -> bytes:
    """Return one of several good texts, damaged as `damaged` says."""
    data = bytearray(chance.choice(good))
    for _ in range(chance.randint(1, 4)):
        at, length = chance.randrange(len(data) + 1), chance.randint(1, 16)
        accident = chance.choice(("flip", "flip", "set", "lose", "repeat", "insert", "cut"))
        if accident == "flip" and at < len(data):
            data[at] ^= 1 << chance.randrange(8)
        elif accident == "set":
            data[at : at + 4] = chance.choice((b"\0\0\0\0", b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f", b"\0\0\0\x80"))
        elif accident == "lose":
            del data[at : at + length]
        elif accident == "repeat":
            data[at:at] = data[at : at + length]
        elif accident == "insert":
            data[at:at] = chance.randbytes(length)
        elif accident == "cut":
            del data[at:]
    return bytes(data)
