"""Estimated cycles of inferences, and what is said of how far they may be off."""

from __future__ import annotations

import numpy as np
import pytest

from harness.boards.virtual.core.native import READ
from harness.boards.virtual.cycles.costs import PARTS, shipped_costs
from harness.boards.virtual.cycles.memory import mean_stalls, shares_of_code
from harness.config import shipped_kinds
from harness.config.chip import Cache, FlashTiming
from harness.measure.estimated_cycles import CycleEstimator, flash_of

WAITS = {"clock_hz": 64_000_000, "read_bytes": 16, "instruction_wait": 3, "data_wait": 2, "source": "a test"}


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


def validity(cycles, memory, costs=None):
    found = CycleEstimator(None, memory, costs).validity(cycles)
    assert (found.error is None) == found.words.startswith("not validated: ")
    return found


def test_only_what_published_measurements_bear_out_has_a_range():
    integer = parts(arithmetic=500, load=400, branch=100)
    # It doesn't wait: code in RAM.
    found = validity(integer, flash())
    assert (found.error, found.words) == ((-7.0, 3.0), "-7 to +3 % (integer code, zero wait states)")
    content = found.content()
    assert [content[f"estimated_cycles_{name}"] for name in ("error_low", "error_high", "code")] == [
        -0.07,
        0.03,
        "integer",
    ]
    waiting = integer + parts(flash=50)
    assert validity(waiting, flash()).words == "not validated: no published measurement on this flash"
    assert validity(waiting, flash(validated=(-6, 9))).error == (-6.0, 9.0)
    # Float code is told from integer code whatever else is not validated.
    calibrated = shipped_costs().calibrated({})
    for memory in (None, flash(), flash(validated=(-6, 9))):
        for costs in (None, calibrated):
            assert validity(integer, memory, costs).code == "integer"
            found = validity(integer + parts(float=20), memory, costs)
            assert (found.code, found.error) == ("float", None)
            assert ("costs of a calibration" in found.words) == (costs is calibrated)
    assert validity(integer, None).error is validity(integer, flash(), calibrated).error is None


def test_waits_for_flash_hold_at_one_clock():
    kind = shipped_kinds()["nucleo_l4r5zi"]
    assert flash_of(kind).clock_hz == 120_000_000
    assert flash_of(kind.model_copy(update={"clock_hz": 80_000_000})) is None


def test_where_code_is_fetched_from_is_told():
    entries = np.array([5 << 32 | 0x100, READ | 0x20000000, 3 << 32 | 0x1FFFFFFE, 2 << 32 | 0x20000000], np.uint64)
    assert shares_of_code(entries, flash()) == (0.5, 0.2)  # of the bytes of code
