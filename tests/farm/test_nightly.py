"""`hil nightly` on one host: what keeps a night from being run, from ending, or from being begun."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from fakes.made_farm import THREE_BOARDS
from fakes.small_suite import write_small_suite
from harness import load_results
from harness.config import Lab
from harness.config.nightly import Nightly
from harness.errors import ConfigError, FarmError
from harness.farm import crew
from harness.farm.host import Host, Wish
from harness.farm.night import plan_night
from harness.farm.nightly import run_night
from harness.files.json_file import write_json
from harness.store import Run
from harness.store.runs import finish_shared

ROOT = Path(__file__).parents[2]


@pytest.fixture
def state():
    return Path(os.environ["HIL_STATE"])


@pytest.fixture
def wish(tmp_path):
    """What `hil nightly` is asked for, and what it said."""

    def make(lab=THREE_BOARDS, *, resume=False, **options):
        (tmp_path / "devices.yaml").write_text(lab)
        suite = write_small_suite(tmp_path / "s.yaml", ROOT)
        suite.write_text("\n".join(line for line in suite.read_text().splitlines() if "float32:" not in line))
        options = {"samples": 2, "baseline": None, "check": False, "budget": timedelta(hours=1)} | options
        nightly = Nightly(suites=(suite,), **options)
        return Wish(Lab.load(tmp_path / "devices.yaml"), nightly, tmp_path, tmp_path / "results", resume, said.append)

    said: list[str] = []
    make.said = said
    return make


def plan(wish, state):
    return plan_night(state, wish.lab, wish.nightly, wish.base, wish.results_dir)


def over(night):
    """Let a night be one of long ago, that was cut off."""
    folder = night.folder.rename(night.folder.with_name("2020-02-29"))
    content = json.loads((folder / "plan.json").read_text())
    (folder / "plan.json").write_text(json.dumps({**content, "id": folder.name, "deadline": content["created"]}))
    (night.run / "night.json").write_text(json.dumps({"night": folder.name}))
    return replace(night, folder=folder)


@pytest.mark.parametrize("each", [True, False])
def test_a_night_ends_when_its_cases_are_done_though_boards_are_missing_or_in_doubt(wish, state, monkeypatch, each):
    """Boards that aren't attached: one whose cases others measure, and one that nobody can stand in for."""
    monkeypatch.setattr(crew, "_BUSY_S", 0.1)
    monkeypatch.setattr(crew, "_LOOKS", 2 if each else 10**6)
    (state / "quarantine").mkdir()
    (state / "quarantine" / "b2.json").write_text("{")
    devices = ("b1", "b2", *["real"] * each)
    outcome = run_night(wish(devices=devices, each=each, budget=timedelta(minutes=10)))
    left = 2 if each else 0
    assert (outcome.exit_code, dict(outcome.counts)) == (
        7 if each else 0,
        {"complete": 1, "failed": 0, "skipped": left},
    )
    assert "not used: b2: " in outcome.summary
    assert ("not used: real: real: its probe" in outcome.summary) == each


def test_a_night_that_was_cut_off_long_ago_doesnt_take_the_place_of_the_next_one(wish, state, tmp_path):
    wanted = wish(devices=("b1",))
    old = over(plan(wanted, state))
    outcome = run_night(wanted)
    assert (outcome.exit_code, dict(outcome.counts)) == (0, {"complete": 1, "failed": 0, "skipped": 0})
    assert json.loads((old.folder / "finished.json").read_text())["state"] == "nothing measured"
    assert sorted(load_results(tmp_path / "results").cases["status"]) == ["complete", "skipped"]
    assert any("its time is over: it is ended first" in line for line in wish.said)


def test_an_old_night_that_cant_be_ended_keeps_no_later_one_from_running(wish, state):
    wanted = wish(devices=("b1",))
    old = over(plan(wanted, state))
    (old.run / "night.json").unlink()
    assert run_night(wanted).exit_code == 0
    assert any(f"can't be ended: {old.run} isn't" in line and f"remove {old.folder}" in line for line in wish.said)


@pytest.mark.parametrize("fetch", ["cp", "false"])
def test_a_host_that_joins_a_night_with_old_images_fetches_first(wish, state, tmp_path, fetch):
    image, newest = tmp_path / "image.elf", ROOT / "firmware" / "prebuilt" / "nano33" / "fashion_mnist_int8.elf"
    shutil.copy(newest, image)
    wanted = wish(devices=("b1",), fetch=(fetch, str(newest), str(image)))
    (suite,) = wanted.nightly.suites
    suite.write_text(suite.read_text().replace(str(newest), str(image)))
    plan(wanted, state)  # by another host
    image.unlink()
    outcome = run_night(wanted)
    assert outcome.counts["complete"] == (fetch == "cp")
    assert any("fetch: `false" in line for line in wish.said) == (fetch == "false")


def test_resuming_ends_a_night_whose_time_is_over_and_begins_none(wish, state):
    wanted = wish(devices=("b1",), resume=True)
    over(plan(wanted, state))
    assert run_night(wanted).state == "nothing measured"
    assert run_night(wanted) is None


def test_a_host_whose_name_cant_be_a_files_is_told_so(wish, monkeypatch):
    monkeypatch.setenv("HIL_HOST", "lab/pc")
    with pytest.raises(ConfigError, match=r"the host 'lab/pc' can't be the name of a file.*HIL_HOST"):
        run_night(wish())


def test_a_lock_that_cant_be_opened_is_named_with_what_to_do(wish, state, monkeypatch):
    monkeypatch.setenv("HIL_HOST", "lab-pc")
    (state / "nights" / ".lab-pc.lock").mkdir(parents=True)
    with pytest.raises(ConfigError, match=r"\.lab-pc\.lock can't be opened: .* give you access, or remove it"):
        run_night(wish())


def test_a_device_that_was_removed_is_not_another_one_of_its_name(wish, state):
    night = plan(wish("devices:\n  nano33: {kind: nano33, backend: virtual}\n"), state)
    assert [slot.device for slot in Host(wish(THREE_BOARDS), night)._crew.slots] == []


def test_a_state_folder_may_be_away_for_a_while(wish, state):
    wanted = wish(devices=("b1",))
    host = Host(wanted, plan(wanted, state))

    def away():
        raise OSError(28, "No space left on device")

    assert host._step(away)
    host._well -= 301
    with pytest.raises(FarmError, match=r"No space left on device.*hil nightly --resume"):
        host._step(away)
    assert not host._step(lambda: False)
    assert host._step(away)


def write_tables(night):
    """Let another host have ended the run."""
    write_json(night.folder / "hosts" / "other.json", {"state": "finishing"})
    with Run.join(night.run, {}, "other") as run:
        case = night.cases[0]
        keys = {"board": case.kind, "backend": case.backend, "suite": case.task, "variant": case.variant}
        run.begin_case(number=case.number, device="b1", **keys).finish(status="skipped", reason="no time")
    finish_shared(night.run)


def test_a_host_that_comes_when_another_one_has_written_the_tables_goes_on_to_the_end(wish, state):
    wanted = wish(devices=("b1",))
    night = plan(wanted, state)
    write_tables(night)
    host = Host(wanted, night)
    assert not host._step(host._measures)
    assert not host._step(host._awaits_others)
    assert run_night(wanted).counts["skipped"] == 1


def test_no_worker_is_started_when_the_tables_were_written_just_now(wish, state, monkeypatch):
    wanted = wish(devices=("b1",))
    host = Host(wanted, plan(wanted, state))
    states = host._queue.states

    def meanwhile(cases):
        write_tables(host._night)
        return states(cases)

    monkeypatch.setattr(host._queue, "states", meanwhile)
    try:
        assert not host._measures()
        assert [slot.process for slot in host._crew.slots] == [None]
    finally:
        host._crew.stop()


def test_a_board_that_is_due_is_tested_when_the_night_begins(wish, state):
    wanted = wish(devices=("b1",))
    host = Host(wanted, plan(wanted, state))
    ledger = host._book.ledger
    ledger.by_rules("b1", _ground(), host._since - timedelta(days=2))
    again = Host(wanted, host._night)
    (slot,) = again._crew.slots
    assert slot.state == "failed"
    again._test_again()
    assert (slot.state, slot.check) == ("waiting", True)


def _ground():
    from harness.health.rules import Ground

    return Ground("silent", ())
