"""Made-up and damaged input for a parser: how many cases, and where they come from. tests/**/test_*fuzz*.py use it."""

from __future__ import annotations

import os
import random
import time
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

#: CPU time in seconds after which a fuzz test fails: 15 times what `many` cases may take, so no slow computer does it.
TOO_LONG_S = 120.0


def amounts(quick: int, many: int) -> pytest.MarkDecorator:
    """Give a test its number of `cases`: once for the fast run, and once, marked slow, for the long one.

    Args:
        quick: takes less than a second of CPU time.
        many: takes up to 8 seconds. The environment variable HIL_FUZZ, say 1000000, replaces it, and ends the limit.
    """
    said = os.environ.get("HIL_FUZZ")
    slow = pytest.param(int(said) if said else many, id="many", marks=pytest.mark.slow)
    return pytest.mark.parametrize("cases", [pytest.param(quick, id="quick"), slow])


def fuzz(cases: int, check: Callable[[random.Random], object]) -> None:
    """Call `check` with so many generators of random numbers, each with a seed of its own: the same ones everywhere.

    What it raises fails the test, and says the seed: `check(random.Random(SEED))` does it again.
    """
    end = time.process_time() + (float("inf") if os.environ.get("HIL_FUZZ") else TOO_LONG_S)
    for seed in range(cases):
        try:
            check(random.Random(seed))
        except Exception as error:
            error.add_note(f"made by random.Random({seed}), the {seed + 1}th of {cases} cases")
            raise
        if time.process_time() > end:
            pytest.fail(f"{seed + 1} of {cases} cases took {TOO_LONG_S:.0f} s of CPU time: make them quicker, or fewer")


def spoil(chance: random.Random, good: Sequence[bytes]) -> bytes:
    """Return one of several good texts after one to four accidents: bits flipped, bytes lost, repeated or foreign."""
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


#: What a program of another version, or a hand, may write where any other value stood.
STRANGE = (
    *(None, True, False, 0, -1, 1, 255, -129, 2**31, 2**32 - 1, 2**53 + 1, 2**63, -(2**200), 0.0, 0.5, -1.5, 1e-320),
    *(1e39, 1e308, "", "0", "0.5", "1", "int8", "uint8", "float32", "\0"),
    *("é", "complete", "2026-13-01T00:00:00", [], [[]], {}, [1, 2], [None, -1], {"status": "complete"}),
)


#: What isn't JSON, or no text, but is written and read as such by Python's json.
NOT_JSON = (float("nan"), float("inf"), -float("inf"), "\ud800")


def replace_value(chance: random.Random, record: Any, values: Sequence[object] = STRANGE) -> None:
    """Put something strange where a value of what JSON can hold stood, at any depth, or take it away."""
    place = record
    while isinstance(place, dict | list) and place:
        key = chance.choice(sorted(place) if isinstance(place, dict) else range(len(place)))
        if isinstance(place[key], dict | list) and chance.random() < 0.6:
            place = place[key]
        elif isinstance(place, dict) and chance.random() < 0.2:
            del place[key]
            return
        else:
            place[key] = deepcopy(chance.choice(values))
            return
