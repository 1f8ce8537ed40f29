"""High-water marks of painted memory."""

from __future__ import annotations

import struct
from types import SimpleNamespace

import pytest

from harness.errors import MeasurementError
from harness.link.messages import DeviceStats
from harness.measure.memory import heap_high_water, measure_peak_ram, stack_high_water

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


def agent_says(image, **changes):
    """A board without a probe, and what its agent answers to STATS."""
    (bottom, top), (heap_bottom, heap_top) = image.stack, image.heap
    told = {"stack_bytes": top - bottom, "heap_bytes": heap_top - heap_bottom, "stack_used_bytes": 324}
    rest = {"heap_used_bytes": 0, "damaged_headers": 0, "damaged_payloads": 0, "receive_errors": 0}
    stats = DeviceStats(**{**rest, **told, **changes})
    return SimpleNamespace(name="bench", reads_memory=False), SimpleNamespace(stats=lambda: stats)


def test_without_a_probe_the_agent_is_asked(image):
    board, link = agent_says(image)
    assert measure_peak_ram(board, image, link).stack_bytes == 324


@pytest.mark.parametrize("part", ["stack_bytes", "heap_bytes"])
def test_an_agent_with_another_memory_map_than_the_image_has_no_figure(image, part):
    board, link = agent_says(image, **{part: 4096})
    top = image.stack[1] - image.stack[0]
    with pytest.raises(
        MeasurementError, match=rf"bench: the agent reports .*4096 .*but fashion_mnist_int8\.elf has {top} and"
    ):
        measure_peak_ram(board, image, link)


def test_an_agent_whose_stack_was_used_to_its_bottom_has_no_figure(image):
    board, link = agent_says(image, stack_used_bytes=image.stack[1] - image.stack[0])
    with pytest.raises(MeasurementError, match="has overflowed"):
        measure_peak_ram(board, image, link)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"stack_used_bytes": 0}, "was never painted or used, or has overflowed"),
        ({"stack_used_bytes": 2**32 - 1}, "was never painted or used, or has overflowed"),
        ({"heap_used_bytes": 8}, "the agent reports 8 bytes used of a heap of 0"),
    ],
)
def test_figures_that_no_memory_can_have(image, changes, words):
    board, link = agent_says(image, **changes)
    with pytest.raises(MeasurementError, match=words):
        measure_peak_ram(board, image, link)
