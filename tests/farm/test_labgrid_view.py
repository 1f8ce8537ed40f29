"""What one process heard from labgrid serves the others, as long as it is new enough."""

from __future__ import annotations

import time

import pytest

from harness.farm.labgrid import Labgrid
from harness.farm.labgrid_view import look_shared

pytestmark = pytest.mark.labgrid


def test_an_answer_is_shared_until_a_newer_one_is_wanted(labgrid_farm):
    one, two = Labgrid(labgrid_farm.options, "one"), Labgrid(labgrid_farm.options, "two")
    first = look_shared(one, time.monotonic())
    assert first.places["bench-1"].acquired is None
    assert {path.split("/")[1] for path in first.resources} >= {"bench-1", "bench-2", "bench-3"}
    one.acquire("bench-1")
    assert look_shared(two, first.asked).asked == first.asked
    later = look_shared(two, time.monotonic())
    assert later.asked > first.asked
    assert later.places["bench-1"].acquired == one.identity
    one.release("bench-1")


def test_a_damaged_answer_and_one_from_before_the_last_start_are_asked_for_anew(labgrid_farm, tmp_path):
    labgrid = Labgrid(labgrid_farm.options, "me")
    first = look_shared(labgrid, time.monotonic())
    (path,) = tmp_path.glob("hil-labgrid-*.json")
    path.write_text(path.read_text().replace(repr(first.asked), repr(first.asked + 1e6)))
    second = look_shared(labgrid, first.asked)
    assert first.asked < second.asked < time.monotonic()
    path.write_text("{")
    assert look_shared(labgrid, second.asked).asked > second.asked
