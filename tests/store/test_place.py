from __future__ import annotations

import pytest

from harness.store.place import boards_of, place_of, spelled, unit_of, where


def row(device, pool=None, uid=None, backend="hardware"):
    return {"device": device, "pool": pool, "board_uid": uid, "backend": backend}


def test_a_case_belongs_to_its_pool_and_without_one_to_its_device():
    assert place_of(row("bench-1", "nano33")) == "nano33"
    assert place_of(row("bench-1")) == "bench-1"
    assert [where(row("bench-1", pool)) for pool in ("nano33", None)] == ["nano33 (bench-1)", "bench-1"]


def test_a_unit_is_a_chip_and_on_an_emulator_a_device():
    assert unit_of(row("bench-1", uid="A")) == "A"
    assert unit_of(row("bench-1")) == "bench-1"
    assert unit_of(row("bench-1", uid="A", backend="virtual")) == "bench-1"


@pytest.mark.parametrize(
    ("numbers", "words"),
    [((3,), "1 board: b3"), ((10, 9, 9), "2 boards: b9, b10"), (range(1, 17), "16 boards: b1 ... b16")],
)
def test_boards_are_counted_and_named_in_their_order(numbers, words):
    boards = boards_of([row(f"b{number}", "nano33") for number in numbers])
    assert boards == words
    assert spelled("nano33", boards) == f"nano33 ({words})"


def test_a_device_of_no_pool_stands_for_itself():
    assert spelled("bench-1", boards_of([row("bench-1")])) == "bench-1"
