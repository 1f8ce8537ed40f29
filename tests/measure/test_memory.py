"""High-water marks of painted memory."""

from __future__ import annotations

import struct

import pytest

from harness.measure.memory import heap_high_water, stack_high_water

PAINT = 0x5AFEC0DE


def region(words: dict[int, int], count: int = 64) -> bytes:
    return struct.pack(f"<{count}I", *(words.get(i, PAINT) for i in range(count)))


@pytest.mark.parametrize(
    ("written", "used"),
    [
        ({}, 0),
        ({63: 0}, 4),
        ({40: 0, 63: 0}, 96),
        ({0: 0}, 256),  # down to the bottom, with unused words above it
    ],
)
def test_stack_is_counted_from_the_lowest_written_word(written, used):
    assert stack_high_water(region(written), PAINT) == used


@pytest.mark.parametrize(("written", "used"), [({}, 0), ({0: 0}, 4), ({3: 7}, 16), ({63: 0}, 256)])
def test_heap_is_counted_to_the_highest_written_word(written, used):
    assert heap_high_water(region(written), PAINT) == used
