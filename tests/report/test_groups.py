from __future__ import annotations

from dataclasses import replace

from fakes.recorded_runs import VARIANTS, Setting, about, begin, memory, record_case, record_run
from harness.report.groups import RunOrigin, grouped
from harness.store import Run, load_results


def test_backends_boards_and_suites_are_groups_of_their_own(tmp_path):
    record_run(tmp_path, VARIANTS[:2], Setting(samples=5))
    record_run(tmp_path, VARIANTS[:2], Setting(samples=5, backend="hardware"))
    record_run(tmp_path, VARIANTS[:2], Setting(samples=5, suite="japanese_vowels"))
    found = grouped(load_results(tmp_path))
    assert [(group.setup["suite"], group.setup["backend"]) for group in found] == [
        ("japanese_vowels", "virtual"),
        ("fashion_mnist", "hardware"),
        ("fashion_mnist", "virtual"),
    ]
    assert [group.emulated for group in found] == [True, False, True]


def test_the_newest_run_is_shown_and_all_are_its_past(tmp_path):
    record_run(tmp_path, VARIANTS[:2], Setting(samples=5))
    newest = record_run(tmp_path, VARIANTS[:3], Setting(samples=5))
    (group,) = grouped(load_results(tmp_path))
    assert group.run.name == newest.name
    assert (len(group.cases), len(group.past)) == (3, 5)


def test_a_case_that_failed_early_is_shown_with_the_others_of_its_suite_and_board(tmp_path):
    with Run.create(tmp_path, about(Setting())) as run:
        begin(run, VARIANTS[0], Setting()).finish(status="failed", reason="no answer")
        record_case(run, VARIANTS[1], Setting(samples=5))
    (group,) = grouped(load_results(run.path))
    assert group.cases["variant"].tolist() == ["float32", "int8"]
    assert group.complete["variant"].tolist() == ["int8"]


def test_a_run_in_which_everything_failed_is_a_group_too(tmp_path):
    with Run.create(tmp_path, about(Setting())) as run:
        begin(run, VARIANTS[0], Setting()).finish(status="failed", reason="no answer")
    (group,) = grouped(load_results(run.path))
    assert (group.counter, group.setup["clock_hz"]) == ("instructions", None)


def test_two_chips_are_never_one_group(tmp_path):
    with Run.create(tmp_path, about(Setting())) as run:
        for made, uid in zip(VARIANTS[:2], ("A", "B"), strict=True):
            case = begin(run, made, Setting())
            case.finish(status="failed", reason="x", **{**memory(made), "board_uid": uid}, clock_hz=64_000_000)
    assert len(grouped(load_results(run.path))) == 2


def test_boards_of_a_pool_are_one_group_whatever_their_chips(tmp_path):
    setting = Setting(samples=5, pool="nano33", backend="hardware")
    with Run.create(tmp_path, about(setting)) as run:
        for number, made in enumerate(VARIANTS[:3]):
            record_case(run, made, replace(setting, device=f"bench-{number}", board_uid=str(number)))
        begin(run, VARIANTS[3], replace(setting, device="bench-7")).finish(status="failed", reason="no answer")
        record_case(run, VARIANTS[0], replace(setting, device="bench-0", pool=None))
    pool, alone = sorted(grouped(load_results(run.path)), key=lambda group: -len(group.cases))
    assert (len(pool.cases), pool.several, pool.setup["place"]) == (4, True, "nano33")
    assert pool.place == "nano33 (4 boards: bench-0, bench-1, bench-2, bench-7)"
    assert (len(alone.cases), alone.several, alone.place) == (1, False, "bench-0")


def test_the_boards_limits_are_those_that_the_run_recorded(tmp_path):
    (group,) = grouped(load_results(record_run(tmp_path, VARIANTS[:1], Setting(samples=5))))
    assert (group.limit("ram"), group.limit("flash")) == (262_144, 983_040)
    other = replace(group, run=RunOrigin("x", {"config": {"lab": {"kinds": "damaged"}, "devices": [None]}}))
    assert other.limit("ram") is None
