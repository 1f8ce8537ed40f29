"""Estimated cycles of inferences, and what is said of how far they may be off."""

from __future__ import annotations

import numpy as np
import pytest

from harness.boards.virtual.core.native import READ
from harness.boards.virtual.cycles.costs import PARTS
from harness.boards.virtual.cycles.memory import mean_stalls
from harness.config.chip import Cache, FlashTiming
from harness.measure.estimated_cycles import validity

WAITS = {"read_bytes": 16, "instruction_wait": 3, "data_wait": 2, "source": "a test"}


def flash(**more):
    return FlashTiming(start=0, size=0x10000, **WAITS, **more)


def by_hand(entries, timing):
    """Simulate the caches read by read, as the words of FlashTiming and docs/cycles.md have it."""
    caches = {False: timing.instruction_cache, True: timing.data_cache}
    held = {False: {}, True: {}}  # by set: [line, reads of it that are valid], most recently used last
    waits, executions, block = {}, {}, None
    for entry in entries.tolist():
        is_read, address, size = bool(entry & READ), entry & 0xFFFFFFFF, (entry & ~READ) >> 32
        if not is_read:
            block = address
            executions[block] = executions.get(block, 0) + 1
        if address >= timing.size:
            continue
        for at in range(
            address // timing.read_bytes, (address + (1 if is_read else size) - 1) // timing.read_bytes + 1
        ):
            missed, cache = True, caches[is_read]
            if cache is not None:
                line = at * timing.read_bytes // cache.line_bytes
                ways = cache.ways or cache.bytes // cache.line_bytes
                lines = held[is_read].setdefault(line % (cache.bytes // cache.line_bytes // ways), [])
                found = next((one for one in lines if one[0] == line), [line, set()])
                missed = at not in found[1]
                found[1].add(at)
                lines[:] = [*(one for one in lines if one is not found), found][-ways:]
            if missed:
                waits[block] = waits.get(block, 0) + (timing.data_wait if is_read else timing.instruction_wait)
    return {start: wait / executions[start] for start, wait in waits.items()}


@pytest.mark.parametrize(
    "timing",
    [
        flash(),
        flash(instruction_cache=Cache(bytes=256, line_bytes=16, ways=2)),
        flash(instruction_cache=Cache(bytes=128, line_bytes=16, ways=1), data_cache=Cache(bytes=64, line_bytes=32)),
        flash(instruction_cache=Cache(bytes=256, line_bytes=32, ways=4)),
    ],
    ids=["no cache", "two ways", "one way", "four ways, half lines"],
)
def test_waits_are_those_of_caches_simulated_read_by_read(timing, monkeypatch):
    random = np.random.default_rng(1)
    entries = []
    for _ in range(400):
        loop = random.integers(0, 0x600, random.integers(1, 6)) & ~1
        for start in np.tile(loop, random.integers(1, 5)).tolist():
            far = 0x10000 if random.random() < 0.1 else 0  # code that isn't in flash
            entries.append(int(random.integers(1, 40)) * 2 << 32 | start + far)
            entries += [READ | int(at) for at in random.integers(0, 0x12000, random.integers(0, 4))]
    trace = np.array(entries, np.uint64)
    monkeypatch.setattr("harness.boards.virtual.cycles.memory._PIECE", 100)
    assert mean_stalls(trace, timing) == pytest.approx(by_hand(trace, timing))


def parts(**cycles):
    return np.array([[cycles.get(name, 0.0) for name in PARTS]])


def test_only_what_published_measurements_bear_out_has_a_range():
    integer = parts(arithmetic=500, load=400, branch=100)
    # It doesn't wait: code in RAM.
    assert validity(integer, flash()) == ((-7.0, 3.0), "-7 to +3 % (integer code, zero wait states)")
    assert validity(integer, None)[0] is None
    waiting = integer + parts(flash=50)
    assert validity(waiting, flash()) == (None, "not validated: no published measurement on this flash")
    assert validity(waiting, flash(validated=(-6, 9)))[0] == (-6.0, 9.0)
    for memory in (flash(), flash(validated=(-6, 9))):
        assert validity(integer + parts(float=20), memory) == (None, "not validated: float code")
