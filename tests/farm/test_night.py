"""A night: planned once for all hosts, and its cases in a good order."""

from __future__ import annotations

import hashlib
import shutil
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from fakes.made_farm import THREE_BOARDS
from harness.config import Lab
from harness.config.nightly import Nightly, load_nightly
from harness.errors import ConfigError, StoreError
from harness.farm.crew import Slot
from harness.farm.host import progress
from harness.farm.night import FINISHED, Night, plan_cases, plan_night, unfinished
from harness.farm.queue import CaseState
from harness.files.json_file import write_json
from harness.locks.state import now
from harness.report.gate import NIGHTLY_PARSERS
from harness.store import Run

ROOT = Path(__file__).parents[2]


@pytest.fixture
def lab(tmp_path):
    (tmp_path / "devices.yaml").write_text(THREE_BOARDS)
    return Lab.load(tmp_path / "devices.yaml")


@pytest.fixture
def base(tmp_path):
    """The folder of nightly.yaml, with one suite of nine variants."""
    shutil.copytree(ROOT / "suites" / "data", tmp_path / "suites" / "data")
    text = (ROOT / "suites" / "japanese_vowels.yaml").read_text()
    (tmp_path / "suites" / "japanese_vowels.yaml").write_text(text)
    shutil.copytree(ROOT / "firmware" / "prebuilt", tmp_path / "firmware" / "prebuilt")
    return tmp_path


@pytest.fixture
def one_day(monkeypatch):
    """Keep midnight from coming between two nights, which are named by their day."""
    begun = now()
    monkeypatch.setattr("harness.farm.night.now", lambda: begun)


def nightly(base, **options):
    return Nightly(suites=(base / "suites",), **options)


def test_boards_of_a_kind_share_the_cases_but_not_with_emulators(lab, base):
    cases = plan_cases(lab, nightly(base, devices=("b1", "b2", "real")), base, base / "results")
    assert len(cases) == 18
    pools = {(case.target, case.pool, case.backend, case.devices) for case in cases}
    assert pools == {
        ("nano33-virtual", "nano33", "virtual", ("b1", "b2")),
        ("nano33-hardware", "nano33", "hardware", ("real",)),
    }
    assert sorted(case.number for case in cases) == list(range(18))
    assert {case.suite for case in cases} == {"suites/japanese_vowels.yaml"}
    image = base / "firmware" / "prebuilt" / "nano33" / "japanese_vowels_int8.elf"
    found = next(case for case in cases if case.variant == "int8")
    assert found.image_sha256 == hashlib.sha256(image.read_bytes()).hexdigest()


def test_each_asks_every_board(lab, base):
    cases = plan_cases(lab, nightly(base, devices=("b1", "b2"), each=True), base, base / "results")
    assert {(case.target, case.pool, case.devices) for case in cases} == {("b1", None, ("b1",)), ("b2", None, ("b2",))}


@pytest.mark.parametrize("each", [True, False])
def test_every_suite_is_planned_for_every_target(lab, base, each):
    suites = base / "suites"
    text = (suites / "japanese_vowels.yaml").read_text()
    (suites / "second.yaml").write_text(text.replace("task: japanese_vowels", "task: second"))
    cases = plan_cases(lab, nightly(base, devices=("all",), each=each), base, base / "results")
    planned = {(case.task, case.target) for case in cases}
    targets = {"b1", "b2", "real"} if each else {"nano33-virtual", "nano33-hardware"}
    assert planned == {(task, target) for task in ("japanese_vowels", "second") for target in targets}
    assert len(cases) == 9 * len(planned)


def test_what_took_longest_comes_first_after_what_was_never_run(lab, base):
    with Run.create(base / "results", {}) as run:
        for variant, seconds in (("int8", 5.0), ("student_int8", 50.0)):
            keys = {"device": "b1", "board": "nano33", "backend": "virtual", "suite": "japanese_vowels"}
            case = run.begin_case(**keys, variant=variant)
            case._start -= seconds
            case.finish(status="complete")
    order = [case.variant for case in plan_cases(lab, nightly(base, devices=("b1",)), base, base / "results")]
    assert order[-2:] == ["student_int8", "int8"]


def test_a_missing_image_is_planned_so_that_its_case_can_say_so(lab, base):
    (base / "firmware" / "prebuilt" / "nano33" / "japanese_vowels_int8.elf").unlink()
    cases = plan_cases(lab, nightly(base, devices=("b1",)), base, base / "results")
    assert [case.variant for case in cases if case.image_sha256 is None] == ["int8"]


@pytest.mark.usefixtures("one_day")
def test_hosts_that_plan_at_once_have_one_plan(lab, base):
    wish = nightly(base, devices=("b1", "b2"), budget=timedelta(hours=1))
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: plan_night(base / "state", lab, wish, base, base / "results"), range(4)))
    assert len({night.run for night in made}) == 1
    assert [path.name for path in (base / "results").iterdir()] == [made[0].run.name]
    assert made[0] == Night.load(made[0].folder)
    assert made[0].deadline - made[0].created == timedelta(hours=1)


@pytest.mark.usefixtures("one_day")
def test_the_second_night_of_a_day_has_a_number(lab, base):
    state, wish = base / "state", nightly(base, devices=("b1",))
    assert unfinished(state) is None
    first = plan_night(state, lab, wish, base, base / "results")
    assert unfinished(state) == first
    write_json(first.folder / FINISHED, {})
    assert unfinished(state) is None
    second = plan_night(state, lab, wish, base, base / "results")
    assert (second.id, unfinished(state)) == (f"{first.id}.2", second)


def test_a_host_that_sees_another_results_folder_is_told(lab, base):
    night = plan_night(base / "state", lab, nightly(base, devices=("b1",)), base, base / "results")
    night.check_run()
    (base / "results").rename(base / "elsewhere")
    (base / "results").mkdir()
    with pytest.raises(ConfigError, match="all hosts of a farm need the same results folder"):
        night.check_run()


def test_a_damaged_plan_is_named(lab, base):
    night = plan_night(base / "state", lab, nightly(base, devices=("b1",)), base, base / "results")
    (night.folder / "plan.json").write_text('{"created": ')
    with pytest.raises(StoreError, match=r"plan\.json is missing or damaged"):
        Night.load(night.folder)


def test_progress_says_which_boards_are_waited_for_and_why():
    why = "b2: its probe A1 is not attached"
    slots = [Slot("b1", state="measuring"), Slot("b2", state="unavailable", reason=why), Slot("b3", state="done")]
    states = {0: CaseState("done"), 1: CaseState("claimed")}
    assert progress(states, slots).splitlines() == [
        "1 of 2 cases done, 1 boards measure",
        "  waiting for b2: its probe A1 is not attached",
    ]


# ---- nightly.yaml


def written(tmp_path, text):
    (tmp_path / "nightly.yaml").write_text(text)
    return load_nightly(tmp_path / "nightly.yaml", NIGHTLY_PARSERS)


def test_nightly_yaml(tmp_path):
    found = written(tmp_path, "suites: [suites, more/x.yaml]\nbudget: 1h30m\nfetch: git pull --ff-only\n")
    assert found.suites == (tmp_path / "suites", tmp_path / "more" / "x.yaml")
    assert found.budget == timedelta(minutes=90)
    assert found.fetch == ("git", "pull", "--ff-only")
    assert (found.devices, found.baseline, found.keep_raw_days) == (("all",), "history:7", 30)
    found = written(tmp_path, "suites: x.yaml\ndevices: nano33\nbaseline: main\nfail_on: ticks>2%,peak_ram>0\n")
    assert (found.suites, found.devices) == ((tmp_path / "x.yaml",), ("nano33",))
    assert (found.baseline, found.fail_on) == ("main", "ticks>2%,peak_ram>0")
    assert written(tmp_path, "budget: 25s\nfetch_timeout: 5m\n").budget == timedelta(seconds=25)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("budget: soon\n", r"nightly.yaml:1: budget: .*\"soon\" is not a length of time"),
        ("suite: x\n", r"nightly.yaml:1: suite: unknown key; did you mean \"suites\""),
        ("budget: 8\n", r"nightly.yaml:1: budget: .*8 has no unit; write it as 90m, 2h, 1h30m or 1d"),
        ("budget: true\n", r"nightly.yaml:1: budget: .*True has no unit"),
        ("devices: []\n", r"nightly.yaml:1: devices: must have at least 1 of them, not 0"),
        ("suites: {a: b}\n", r"nightly.yaml:1: suites: must be a list"),
        ("fail_on: tick>2%\n", r"nightly.yaml:1: fail_on: .*tick is no metric; there are accuracy"),
        ("fail_on: ticks\n", r"nightly.yaml:1: fail_on: .*is no limit"),
        ("baseline: null\nfail_on: ticks>2%\n", r"nightly.yaml:2: fail_on: needs a baseline: worse than what"),
        ("baseline: history:x\n", r"nightly.yaml:1: baseline: 'history:x': a history needs at least 2 nights"),
        ("baseline: history:1\n", r"nightly.yaml:1: baseline: 'history:1': a history needs at least 2 nights"),
        ("keep_raw_days: 0\n", r"nightly.yaml:1: keep_raw_days: "),
    ],
)
def test_mistakes_in_nightly_yaml_name_line_and_key(tmp_path, text, words):
    with pytest.raises(ConfigError, match=words):
        written(tmp_path, text)


def test_a_board_that_is_emulated_does_not_stand_in_for_hardware(lab, tmp_path):
    (tmp_path / "suites").mkdir()
    with pytest.raises(ConfigError, match=r"backend: hardware, but devices.yaml says that \w+ is a virtual board"):
        plan_cases(lab, nightly(tmp_path, backend="hardware"), tmp_path, tmp_path)


def test_a_folder_without_suites_is_an_error(lab, tmp_path):
    (tmp_path / "suites").mkdir()
    with pytest.raises(ConfigError, match="there are no suites in"):
        plan_cases(lab, nightly(tmp_path), tmp_path, tmp_path)
