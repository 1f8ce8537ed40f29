"""What the status page shows: from the files of a farm, whole, missing and damaged."""

from __future__ import annotations

import errno
import itertools
import json
import multiprocessing
import os
import shutil
import signal
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest

from fakes.made_farm import Farm, finish, hold, put
from harness.config import Lab
from harness.config.nightly import Nightly
from harness.farm import look_nights, look_runs, look_usb
from harness.farm import watch as watching
from harness.farm.asking import Asking
from harness.farm.facts import flag, line, moment, number, read_facts, text
from harness.farm.finish import finish_night
from harness.farm.look_history import board_history
from harness.farm.look_labgrid import held_places
from harness.farm.look_usb import missing_boards, unplugged_boards
from harness.farm.night import NightExit
from harness.farm.seen import plain
from harness.farm.status import snapshot
from harness.farm.watch import Watch
from harness.files.journal_lines import journal_line
from harness.locks.lease_files import LeaseFiles
from harness.store.folders import is_run

DEEP = "[" * 100_000
HOSTILE = "<script>alert(1)</script>\x1b[31m\u202e"


@pytest.fixture
def farm(tmp_path, monkeypatch):
    monkeypatch.setenv("HIL_HOST", "here")
    monkeypatch.setenv("HIL_USER", "anna")
    monkeypatch.setenv("HIL_LEASES", str(tmp_path / "leases"))
    monkeypatch.setattr(watching, "_SLOW_PATIENCE_S", 60.0)  # nothing is "not known yet" on a busy computer
    made = Farm(tmp_path / "farm")
    yield made
    made.close()


def look(farm, **more):
    return snapshot(farm.lab, farm.results, farm.now, **more)


def board(status, name):
    return next(one for one in status.boards if one.name == name)


def test_a_farm_without_a_trace_of_anything_is_well(farm):
    farm.results.rmdir()
    farm.state.rmdir()
    status = look(farm)
    assert (status.concerns, status.unknown, status.nights, status.runs) == ((), (), (), ())
    assert {one.name: one.state for one in status.boards} == {
        **{f"bench-{number}": "free" for number in range(1, 9)},
        "far-1": "elsewhere",
    }
    assert not farm.state.exists(), "looking makes nothing"


def test_a_held_board_tells_who_holds_it_and_for_what(farm):
    farm.hold("bench-2", "pytest suites/")
    held = board(look(farm), "bench-2")
    assert (held.state, held.why) == ("held", "by anna")
    assert (held.lease.owner, held.lease.purpose, held.lease.pid, held.lease.expired) == (
        "anna",
        "pytest suites/",
        os.getpid(),
        False,
    )
    assert abs(held.lease.since - datetime.now(UTC)) < timedelta(minutes=1)
    assert board(look(farm), "bench-1").state == "free"


def _hold_until_killed(devices, ready):
    lease = hold(Lab.load(devices), "bench-3", "a run")
    ready.set()
    signal.pause()
    lease.release()


def test_a_holder_that_was_killed_holds_nothing_and_its_files_are_left_alone(farm, tmp_path):
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    holder = context.Process(target=_hold_until_killed, args=(farm.folder / "devices.yaml", ready))
    holder.start()
    assert ready.wait(60)
    assert board(look(farm), "bench-3").state == "held"
    os.kill(holder.pid, signal.SIGKILL)
    holder.join()
    before = sorted(path.name for path in (tmp_path / "leases").iterdir())
    assert board(look(farm), "bench-3").state == "free"
    assert sorted(path.name for path in (tmp_path / "leases").iterdir()) == before


def test_a_board_that_goes_to_the_next_one_while_it_is_looked_at_is_not_free(farm, monkeypatch):
    first, leases = farm.hold("bench-2", "first"), []
    guard = LeaseFiles.guard

    def too_late(files, timeout_s):
        if not leases:
            leases.append(None)
            first.release()
            farm.hold("bench-2", "second")
        return guard(files, timeout_s)

    monkeypatch.setattr(LeaseFiles, "guard", too_late)
    held = board(look(farm), "bench-2")
    assert (held.state, held.lease.purpose) == ("held", "second")


def test_a_holder_without_a_sign_of_life_is_a_concern(farm, tmp_path):
    farm.hold("bench-2", "a run")
    (path,) = (tmp_path / "leases").glob("*.json")
    content = json.loads(path.read_text())
    put(path, {**content, "beat_s": content["beat_s"] - 1000})
    status = look(farm)
    assert board(status, "bench-2").lease.expired
    assert status.concerns == ("Held by a process that shows no sign of life: bench-2",)


def test_a_reserved_board_tells_for_whom_and_a_free_one_who_is_next(farm):
    farm.reserve("bench-1", "ben", "class", hours=2)
    farm.reserve("bench-1", "carla", "", after_h=3)
    farm.reserve("bench-2", "carla", "demo", after_h=5)
    status = look(farm)
    first, second = board(status, "bench-1"), board(status, "bench-2")
    assert (first.state, first.why, first.reservation.purpose, first.booked.owner) == (
        "reserved",
        "by ben",
        "class",
        "carla",
    )
    assert (second.state, second.reservation, second.booked.purpose) == ("free", None, "demo")


def test_quarantine_comes_before_everything_else(farm):
    farm.reserve("bench-1", "ben", "class")
    farm.hold("bench-1", "a test")
    farm.book.quarantine("bench-1", "its cable is loose", "carla")
    status = look(farm)
    assert (board(status, "bench-1").state, board(status, "bench-1").why) == ("quarantined", "its cable is loose")
    assert board(status, "bench-1").lease is not None
    assert status.concerns == ("Quarantined: bench-1",)


def test_health_is_that_of_the_book(farm):
    farm.events("bench-1", "....x.")
    seen = board(look(farm), "bench-1").health
    judged = farm.book.summary("bench-1").health
    assert (seen.cases, seen.ok, seen.counted, seen.in_a_row) == (6, 5, 6, 0)
    assert (seen.low, seen.high, seen.attempts) == (judged.rate.low, judged.rate.high, judged.attempts)
    assert seen.state == judged.state == "well"


def test_a_board_that_fails_is_suspect_before_it_is_quarantined(farm):
    farm.events("bench-1", "....xx")
    assert look(farm).concerns == ("Suspect: bench-1",)


def test_a_missing_board_says_what_is_missing(farm):
    status = look(farm, missing={"bench-1": "its probe 1234 is not attached"})
    assert (board(status, "bench-1").state, board(status, "bench-1").why) == (
        "missing",
        "its probe 1234 is not attached",
    )
    assert status.concerns == ("Missing: bench-1",)


@pytest.mark.slow
def test_a_board_that_somebody_holds_in_labgrid_is_held(labgrid_farm, labgrid_lab, tmp_path, monkeypatch):
    monkeypatch.setenv("HIL_STATE", str(tmp_path / "state"))
    labgrid_farm.client("acquire", place="bench-1")
    labgrid_farm.client("acquire", place="bench-3")
    try:
        lab_farm = labgrid_lab.farm.model_copy(update={"labgrid": labgrid_farm.options})
        lab = labgrid_lab.model_copy(update={"farm": lab_farm})
        places = held_places(lab)
    finally:
        labgrid_farm.client("release", place="bench-1")
        labgrid_farm.client("release", place="bench-3")
    status = snapshot(lab, tmp_path, datetime.now(UTC), places=places)
    assert set(places.holders) == {"bench-1", "far"}, "far's place is bench-3"
    assert board(status, "bench-1").state == board(status, "far").state == "held"
    assert board(status, "bench-1").why == f"by {places.holders['bench-1']} in labgrid"
    assert board(status, "bench-2").state == "free"


def test_labgrid_that_does_not_answer_is_unknown(farm):
    client = {"engine": "labgrid", "state": "state", "labgrid": {"client": "no-labgrid-client"}}
    put(
        farm.folder / "devices.yaml", {"farm": client, "devices": {"bench-1": {"kind": "nano33", "backend": "virtual"}}}
    )
    places = held_places(farm.lab)
    assert places.holders == {}
    assert look(farm, places=places).unknown == (places.unknown,)
    assert "no-labgrid-client" in places.unknown


def test_a_slow_question_keeps_nobody_waiting():
    answers, go_on = itertools.chain(["first"], itertools.repeat("second")), threading.Event()

    def ask():
        answer = next(answers)
        assert answer == "first" or go_on.wait(60)
        return answer

    asking = Asking(ask, "nothing yet", fresh_s=0.0, patience_s=0.05)
    deadline = time.monotonic() + 60
    while asking.get() != "first":
        assert time.monotonic() < deadline
    assert asking.get() == "first", "nobody lets the question go on meanwhile"
    go_on.set()
    while asking.get() != "second":
        assert time.monotonic() < deadline


class Changing(Asking):
    """Gets its answer while somebody looks at the error of the question before."""

    _errors = iter([ValueError("no such thing")])
    _error = property(lambda self: next(self._errors, None), lambda *_: None)


def test_an_answer_that_comes_just_now_is_no_error_of_its_own():
    asking = Changing(lambda: 3, 0, fresh_s=0.0, patience_s=60)
    with pytest.raises(ValueError, match="no such thing"):
        asking.get()
    assert asking.get() == 3


def test_a_question_that_fails_says_so_to_who_asks_and_is_asked_again():
    answers = iter([ValueError("no such thing"), 3])

    def ask():
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    asking = Asking(ask, 0, fresh_s=0.0, patience_s=60)
    with pytest.raises(ValueError, match="no such thing"):
        asking.get()
    assert asking.get() == 3


def test_what_is_plugged_in_may_be_unknown(farm, monkeypatch):
    put(farm.folder / "devices.yaml", {"devices": {"real": {"kind": "nano33", "probe": "0240"}}})

    def refuse():
        raise RuntimeError("no backend\x1b")

    monkeypatch.setattr(look_usb, "attached_probes", refuse)
    assert unplugged_boards(farm.lab).unknown == "what is plugged in can't be told: no backend\\x1b"
    status = Watch(farm.lab, farm.results).status()
    assert "what is plugged in can't be told: no backend\\x1b" in status.unknown


def test_only_boards_of_this_host_can_be_missing_from_it(farm, monkeypatch):
    devices = {
        "here-1": {"kind": "nano33", "probe": "0240"},
        "here-2": {"kind": "nano33", "port": {"serial": "A1"}, "flasher": "bossac"},
        "there": {"kind": "nano33", "probe": "0241", "host": "attic"},
        "listed": {"kind": "nano33", "probe": "remote:rack"},
        "twin": {"kind": "nano33", "backend": "virtual"},
    }
    put(farm.folder / "devices.yaml", {"devices": devices})
    monkeypatch.setattr(look_usb, "attached_probes", list)
    monkeypatch.setattr(look_usb, "attached_ports", list)
    assert missing_boards(farm.lab) == {
        "here-1": "its probe 0240 is not attached",
        "here-2": "its serial port is not attached",
    }


def _running(farm, **plan):
    folder = farm.night("2026-11-21", age_h=1, **plan)
    doing = {"bench-1": {"state": "measuring", "case": "fashion_mnist::int8", "reason": ""}}
    put(folder / "hosts" / "here.json", {"host": "here", "state": "measuring", "boards": doing})
    return folder


def test_a_running_night_shows_progress_and_what_each_board_does(farm):
    folder = _running(farm)
    for case in (0, 3):
        put(farm.results / "20261121T010000Z-night0" / "done" / f"{case}.json", {"writer": "a"})
    put(folder / "claims" / "1.0.json", {})
    put(folder / "claims" / "1.0.failed.json", {"device": "bench-2", "reason": "no answer"})
    other = farm.results / "20260101T000000Z-other0"
    for run in (other, farm.results / "20261121T010000Z-night0"):
        put(run / "journal-a.jsonl", "")
    status = look(farm)
    night = status.night
    assert (night.verdict, night.done, night.total, night.gave_up) == ("running", 2, 6, 1)
    assert [(run.name, run.state) for run in status.runs] == [(night.run, "running"), (other.name, "unfinished")]
    assert board(status, "bench-1").doing.case == "fashion_mnist::int8"
    assert [(host.name, host.state, host.alive) for host in status.hosts] == [("here", "measuring", True)]
    assert status.concerns == ()


def test_the_cases_of_a_running_night_are_waiting_measured_or_done(farm):
    folder = _running(farm, cases=5)
    put(farm.results / "20261121T010000Z-night0" / "done" / "0.json", {"writer": "a"})
    for name in ("0.0", "1.0", "2.0", "2.0.failed", "3.0", "3.0.failed", "3.1", "4.0"):
        put(folder / "claims" / f"{name}.json", {})
    long_ago = (farm.now - timedelta(hours=1)).timestamp()
    os.utime(folder / "claims" / "4.0.json", (long_ago, long_ago))
    _, cases = Watch(farm.lab, farm.results).night("2026-11-21")
    assert [(case["number"], case["status"], case["reason"]) for case in cases] == [
        ("0", "done", ""),
        ("1", "measuring", ""),
        ("2", "waiting", "1 board couldn't measure it"),
        ("3", "measuring", "1 board couldn't measure it"),
        ("4", "waiting", ""),
    ]


def test_a_case_that_a_board_has_taken_names_it(farm):
    folder = _running(farm, cases=2)
    put(folder / "claims" / "1.0.json", {"device": "bench-7"})
    _, cases = Watch(farm.lab, farm.results).night("2026-11-21")
    assert [(case["device"], case["status"]) for case in cases] == [("nano33", "waiting"), ("bench-7", "measuring")]


@pytest.mark.parametrize("run", ["x" * 300, "a/" * 3000, "\ud800", "a/\ud800", "..", "/etc", "~", 5, None, []])
def test_a_plan_may_name_any_folder_as_its_run(farm, run):
    folder = _running(farm)
    put(folder / "plan.json", {**json.loads((folder / "plan.json").read_text()), "run": run})
    status = look(farm)
    assert [(night.id, night.done) for night in status.nights] in ([("2026-11-21", None)], [("2026-11-21", 0)])
    assert len(Watch(farm.lab, farm.results).night("2026-11-21")[1]) == 6


def test_a_number_that_no_computer_knows_costs_its_line(farm):
    farm.events("bench-1", "..")
    path = farm.state / "health" / "here" / "bench-1.jsonl"
    whole, other = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(whole + journal_line({**json.loads(other)["record"], "attempts": 10**400}))
    assert board(look(farm), "bench-1").health.cases == 1


def test_a_sign_of_life_from_the_future_is_none(farm):
    folder = _running(farm)
    put(folder / "claims" / "1.0.json", {})
    soon = (farm.now + timedelta(hours=1)).timestamp()
    for name in ("hosts/here.json", "claims/1.0.json"):
        os.utime(folder / name, (soon, soon))
    watch = Watch(farm.lab, farm.results)
    assert watch.status().night.verdict == "stopped"
    assert {case["status"] for case in watch.night("2026-11-21")[1]} == {"waiting"}


def test_a_night_without_a_sign_of_life_stands_still(farm):
    folder = _running(farm)
    long_ago = (farm.now - timedelta(minutes=30)).timestamp()
    os.utime(folder / "hosts" / "here.json", (long_ago, long_ago))
    status = look(farm)
    assert status.night.verdict == "stopped"
    assert status.concerns == (
        "Night 2026-11-21 stands still: no host shows a sign of life. `hil nightly` goes on with it",
    )
    assert board(status, "bench-1").doing is None


@pytest.mark.parametrize(
    ("content", "verdict", "concern"),
    [
        ({}, "passed", ()),
        ({"exit_code": 1, "counts": {"complete": 4, "failed": 2}}, "failed", ("failed: 2 cases failed",)),
        ({"exit_code": 1, "regressed": True}, "regressed", ("found a regression",)),
        ({"exit_code": 3}, "failed", ("failed with exit code 3",)),
        (
            {"exit_code": NightExit.NOTHING, "state": "nothing measured"},
            "failed",
            ("failed with exit code 5: nothing measured",),
        ),
        (
            {"exit_code": NightExit.UNCHECKED},
            "unchecked",
            ("isn't checked: fail_on, or a part of it, couldn't be held against the baseline",),
        ),
        (
            {"exit_code": NightExit.LEFT, "state": "cases left", "counts": {"skipped": 2}},
            "incomplete",
            ("is incomplete: 2 cases not measured",),
        ),
        ({"exit_code": None}, "unknown", ("left no verdict",)),
        ({"exit_code": "0"}, "unknown", ("left no verdict",)),
    ],
)
def test_the_verdict_of_a_night_is_that_of_its_exit_code(farm, content, verdict, concern):
    finish(farm.night("2026-11-20"), farm.now, **content)
    status = look(farm)
    assert [night.verdict for night in status.nights] == [verdict]
    assert status.concerns == tuple(f"Night 2026-11-20 {words}" for words in concern)
    assert status.night is None


def test_a_night_that_hil_nightly_ended_is_understood(farm):
    run = farm.run(report=False)
    folder = farm.night("2026-11-20", run=run, cases=3)
    plan = json.loads((folder / "plan.json").read_text())
    outcome = finish_night(folder, plan, Nightly(baseline=None), run, farm.results)
    (night,) = look(farm).nights
    assert (night.verdict, night.state, night.exit_code) == ("passed", "complete", 0)
    assert (night.counts, night.total, night.done, night.regressed) == ({"complete": 3}, 3, 3, False)
    assert night.summary == outcome.summary
    assert night.report
    assert Watch(farm.lab, farm.results).report_of_night("2026-11-20") == outcome.report.read_bytes()


def test_a_night_that_ends_while_it_is_looked_at_is_not_damaged(farm, monkeypatch):
    folder, read = _running(farm), look_nights.read_facts

    def read_too_early(path):
        content = read(path)
        if path.name == "finished.json":
            finish(folder, farm.now)
        return content

    monkeypatch.setattr(look_nights, "read_facts", read_too_early)
    assert [(night.state, night.problem) for night in look(farm).nights] == [("running", "")]
    assert [night.verdict for night in look(farm).nights] == ["passed"]


def test_a_run_that_ends_while_it_is_looked_at_is_not_damaged(farm, monkeypatch):
    run, read = farm.run(), look_runs.run_cases
    cases = (run / "cases.parquet").rename(run / "not yet")
    put(run / "journal.jsonl", "")

    def read_too_early(folder):
        rows = read(folder)
        if cases.exists():
            cases.rename(run / "cases.parquet")
        return rows

    monkeypatch.setattr(look_runs, "run_cases", read_too_early)
    assert [one.state for one in look(farm).runs] == ["unfinished"]
    assert [one.verdict for one in look(farm).runs] == ["complete"]


def test_nights_come_newest_first_and_only_those(farm):
    for name in ("2026-11-19", "2026-11-20", "2026-11-20.2", "2026-11-20.10", "2026-11-18"):
        finish(farm.night(name), farm.now)
    (farm.state / "nights" / "notes").mkdir()
    (farm.state / "nights" / "2026-12-01").symlink_to("/")
    assert [night.id for night in look(farm).nights] == [
        "2026-11-20.10",
        "2026-11-20.2",
        "2026-11-20",
        "2026-11-19",
        "2026-11-18",
    ]


def test_runs_come_newest_first_with_their_outcomes(farm):
    old = farm.run(name="20260101T000000Z-aaaaaa")
    new = farm.run(name="20260301T000000Z-bbbbbb", reason="too slow", report=False)
    unfinished = farm.results / "20260201T000000Z-cccccc"
    put(unfinished / "journal.jsonl", "")
    found = {run.name: run for run in look(farm).runs}
    assert list(found) == [new.name, unfinished.name, old.name]
    assert (found[new.name].counts, found[new.name].report) == ({"complete": 3, "failed": 1}, False)
    assert (found[old.name].counts, found[old.name].report) == ({"complete": 3}, True)
    assert (found[unfinished.name].state, found[unfinished.name].counts) == ("unfinished", None)
    assert [found[run.name].verdict for run in (old, new, unfinished)] == ["complete", "failed", "unfinished"]


def test_a_run_that_may_not_be_read_hides_no_other_one(farm, monkeypatch):
    readable, locked = farm.run(), farm.results / "20990101T000000Z-locked"
    locked.mkdir()

    def refuse(folder):
        if folder == locked:
            raise PermissionError(errno.EACCES, "Permission denied", str(folder))
        return is_run(folder)

    monkeypatch.setattr(look_runs, "is_run", refuse)
    assert [run.name for run in look(farm).runs] == [locked.name, readable.name]


@pytest.mark.parametrize("damage", ["", "{", "[1, 2]", "null", '{"boards": 3}', DEEP, "\0\xff", '{"a": NaN, "at": 7}'])
def test_no_damaged_file_breaks_the_page(farm, tmp_path, damage):
    farm.hold("bench-1", "a run")
    farm.reserve("bench-2", "ben", "class")
    farm.events("bench-3", "..x")
    farm.book.quarantine("bench-4", "broken", "carla")
    run = farm.run()
    _running(farm)
    finish(farm.night("2026-11-20", run=run), farm.now)
    for folder in (farm.state, farm.results, tmp_path / "leases"):
        for path in folder.rglob("*.*"):
            if path.is_file() and path.suffix in (".json", ".jsonl", ".parquet"):
                path.write_bytes(damage.encode("latin-1"))
    status = look(farm)
    json.dumps(plain(status))
    assert board(status, "bench-4").state == "unknown", "what may be quarantined isn't shown as free"
    assert any("r1.json is damaged" in text for text in status.unknown)
    assert any("2026-11-21: plan.json" in text for text in status.unknown)
    assert status.runs[0].counts is None
    watch = Watch(farm.lab, farm.results)
    assert watch.night("2026-11-21")[1] == []
    assert watch.board("bench-4")[1].changes == ()


def test_unreadable_folders_are_unknown_and_not_empty(farm):
    (farm.state / "nights").write_text("a file")
    (farm.state / "reservations").write_text("a file")
    unknown = " ".join(look(farm).unknown)
    assert "nights" in unknown
    assert "reservations" in unknown


def test_strings_of_files_become_printable_and_short(farm):
    folder = _running(farm)
    doing = {HOSTILE: {"state": HOSTILE, "case": HOSTILE, "reason": "x" * 10_000}}
    put(folder / "hosts" / "here.json", {"host": HOSTILE, "state": HOSTILE, "boards": doing})
    night = look(farm).night
    shown = "<script>alert(1)</script>\\x1b[31m\\u202e"
    assert night.boards[shown].case == shown
    assert len(night.boards[shown].reason) == 300


def test_a_boards_history_has_its_cases_changes_and_bookings(farm):
    farm.events("bench-1", ".x")
    farm.events("bench-2", "xxx")
    farm.book.quarantine("bench-1", "loose", "carla")
    farm.book.release("bench-1", "ben", "tightened")
    farm.reserve("bench-1", "ben", "class")
    history = board_history(farm.lab, farm.state, "bench-1", farm.now)
    assert [(event.ok, event.attempts) for event in history.events] == [(False, 3), (True, 1)]
    assert [(one.what, one.by, one.reason) for one in history.changes] == [
        ("released", "ben", "tightened"),
        ("quarantined", "carla", "loose"),
    ]
    assert [one.owner for one in history.bookings] == ["ben"]
    assert history.unknown == ()


def test_the_watch_looks_again_after_a_while_and_reads_an_edited_lab(farm, monkeypatch):
    clock = [100.0]
    monkeypatch.setattr("harness.farm.asking.time.monotonic", lambda: clock[0])
    watch = Watch(farm.lab, farm.results)
    first = watch.status()
    assert len(first.boards) == 9
    put(farm.folder / "devices.yaml", {"farm": {"state": "state"}, "devices": {"only": {"kind": "nano33"}}})
    assert watch.status() is first
    clock[0] += 6
    assert [one.name for one in watch.status().boards] == ["only"]
    put(farm.folder / "devices.yaml", "devices: [")
    clock[0] += 6
    assert [one.name for one in watch.status().boards] == ["only"]
    assert "shown is what it said before" in watch.status().unknown[0]


def test_a_state_folder_that_vanishes_leaves_no_board_free(farm, monkeypatch):
    clock = [100.0]
    monkeypatch.setattr("harness.farm.asking.time.monotonic", lambda: clock[0])
    farm.book.quarantine("bench-1", "broken", "carla")
    farm.run()
    watch = Watch(farm.lab, farm.results)
    assert watch.status().unknown == ()
    shutil.rmtree(farm.state)
    shutil.rmtree(farm.results)
    farm.results.mkdir()
    clock[0] += 6
    status = watch.status()
    assert status.unknown[:2] == tuple(
        f"{folder} is gone or empty, and wasn't before" for folder in (farm.state, farm.results)
    )
    assert {one.state for one in status.boards} == {"unknown"}
    assert {one.health for one in status.boards} == {None}


def test_folders_that_do_not_answer_keep_nobody_waiting_and_what_is_shown_says_so(farm, monkeypatch):
    clock, hangs, go_on = [100.0], threading.Event(), threading.Event()
    monkeypatch.setattr("harness.farm.asking.time.monotonic", lambda: clock[0])

    def slowly(*arguments):
        assert not hangs.is_set() or go_on.wait(60)
        return snapshot(*arguments)

    monkeypatch.setattr(watching, "snapshot", slowly)
    watch = Watch(farm.lab, farm.results, patience_s=0.2)
    first = None
    for _ in range(300):
        try:
            first = watch.status()
        except TimeoutError:
            continue
        break
    assert first is not None
    assert first.unknown == ()
    hangs.set()
    clock[0] += 60
    late = watch.status()
    assert late.at == first.at
    assert "the folders of the farm don't answer; all of this is as it was at " in late.unknown[0]
    with pytest.raises(TimeoutError, match="didn't answer within"):
        Watch(farm.lab, farm.results, patience_s=0.2).status()
    go_on.set()


def test_a_lab_file_that_is_made_later_is_read(farm, monkeypatch):
    clock = [100.0]
    monkeypatch.setattr("harness.farm.asking.time.monotonic", lambda: clock[0])
    monkeypatch.setenv("HIL_STATE", str(farm.state))
    (farm.folder / "elsewhere").mkdir()
    monkeypatch.chdir(farm.folder / "elsewhere")
    watch = Watch(Lab.load(None), farm.results)
    assert (watch.status().boards, watch.status().lab) == ((), "no devices.yaml")
    put(farm.folder / "elsewhere" / "devices.yaml", {"devices": {"only": {"kind": "nano33"}}})
    clock[0] += 6
    assert [one.name for one in watch.status().boards] == ["only"]
    put(farm.folder / "elsewhere" / "devices.yaml", {"devices": {"other": {"kind": "nano33"}}})
    clock[0] += 6
    assert [one.name for one in watch.status().boards] == ["other"]


def test_the_status_is_json(farm):
    farm.hold("bench-1", "a run")
    finish(farm.night("2026-11-20"), farm.now)
    content = json.loads(json.dumps(plain(look(farm))))
    assert content["boards"][0]["lease"]["owner"] == "anna"
    assert content["nights"][0]["verdict"] == "passed"
    assert content["at"] == farm.now.isoformat(timespec="seconds")


def test_facts_that_are_not_what_they_should_be_are_unknown(tmp_path):
    assert [number(value) for value in (3, True, 1.5, "3", None, 10**400)] == [3, None, None, None, None, None]
    assert [flag(value) for value in (True, 0, "yes")] == [True, None, None]
    assert [moment(value) for value in ("2026-11-21", "x", 5, "9999-12-31T23:59:59-23:59")] == [None] * 4
    assert moment("2026-11-21T01:00:00+01:00") == datetime(2026, 11, 21, tzinfo=UTC)
    assert [line(7), line("a\n b\ud800")] == ["", "a b\\ud800"]
    assert text("a\n\x1b[2Jb\t|") == "a\n\\x1b[2Jb    |"
    assert read_facts(tmp_path / "none.json") == {}
