from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree as ET

import pytest

from fakes.made_cases import write_run
from harness.config.health import HealthRules
from harness.config.nightly import Nightly
from harness.errors import StoreError
from harness.farm import finish
from harness.farm.dispatch import Try
from harness.farm.finish import finish_night
from harness.farm.results import add_try
from harness.health.quarantine import Ledger

VARIANTS = ("float32", "int8", "sparse")


def planned(run, variants=VARIANTS, **about):
    cases = [
        {"number": number, "task": "digits", "variant": name, "target": "nano33", "pool": None, "devices": ["nano33"]}
        for number, name in enumerate(variants)
    ]
    created = (datetime.now(UTC) - timedelta(hours=2, minutes=5)).isoformat()
    return {"id": "2026-11-21", "created": created, "run": str(run), "cases": cases, **about}


class Nights:
    """The folders of a farm."""

    def __init__(self, tmp_path):
        self.results = tmp_path / "results"
        self.folder = tmp_path / "state" / "nights" / "2026-11-21"
        self.folder.mkdir(parents=True)

    def before(self):
        """Let there be nights before this one."""
        for day in (18, 19, 20):
            write_run(self.results, cases=[{"variant": name} for name in VARIANTS], when=f"2026-11-{day}T22:00:00")

    def measure(self, *cases, **about):
        cases = cases or [{"variant": name} for name in VARIANTS]
        return write_run(self.results, cases=cases, when="2026-11-21T22:00:00", **about)

    def finish(self, run, plan=None, notes=(), store=None, **nightly):
        plan = plan or planned(run)
        (self.folder / "plan.json").write_text(json.dumps(plan))
        return finish_night(self.folder, plan, Nightly(**nightly), run, self.results, notes, store)

    @property
    def summary(self):
        return (self.folder / "summary.txt").read_text()


@pytest.fixture
def farm(tmp_path):
    return Nights(tmp_path)


def check_screen(text):
    lines = text.splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80
    return lines


# ---- how it ends


def test_a_good_night(farm):
    farm.before()
    done = farm.finish(farm.measure())
    assert (done.state, done.exit_code, done.regressed) == ("complete", 0, False)
    assert done.counts == {"complete": 3, "failed": 0, "skipped": 0}
    lines = check_screen(done.summary)
    assert lines[0].startswith("Night 2026-11-21: ")
    assert lines[0].endswith(", 2h5m")
    assert "3 cases: 3 complete, 0 failed, 0 skipped" in lines
    assert "1 board measured: nano33" in lines
    assert "Against the median of 3 nights: 12 same" in lines
    assert lines[-1] == "OK: every case is complete (exit code 0)"
    assert farm.summary == done.summary
    assert sorted(path.name for path in farm.folder.iterdir()) == [
        "finished.json",
        "junit.xml",
        "plan.json",
        "report.html",
        "report.md",
        "summary.txt",
    ]
    assert "float32" in (farm.folder / "report.html").read_text()
    assert json.loads((farm.folder / "finished.json").read_text())["report"] == str(farm.folder / "report.html")


@pytest.mark.parametrize(
    ("fail_on", "code", "last"),
    [
        (None, 0, "OK: every case is complete; no limits are set (fail_on) (exit code 0)"),
        ("ticks>2%", 1, "FAILED: worse than allowed (exit code 1)"),
        ("ticks>20%", 0, "OK: every case is complete; what got worse is within the limits (exit code 0)"),
    ],
)
def test_a_regression_fails_the_night_by_its_limits_only(farm, fail_on, code, last):
    farm.before()
    done = farm.finish(farm.measure(ticks=[1100] * 30), fail_on=fail_on)
    assert (done.exit_code, done.regressed) == (code, code == 1)
    lines = check_screen(done.summary)
    limit = " (ticks>2%)" if code else ""
    assert f"  worse: digits/int8 on nano33: latency +10.00 %{limit}" in lines
    assert lines[-1] == last


@pytest.mark.slow
def test_what_the_limits_cannot_tell_is_not_called_worse_or_allowed(farm):
    farm.before()
    run = farm.measure({"variant": "float32"}, {"variant": "int8"})
    done = farm.finish(run, planned(run, ["float32", "int8"]), fail_on="latency>2%")
    lines = check_screen(done.summary)
    assert not [line for line in lines if line.startswith("  worse")]
    assert [line for line in lines if line.startswith("  can't tell: digits/sparse on nano33")]
    assert lines[-1] == "OK: every case is complete; fail_on: 1 of 3 checks can't tell (exit code 0)"
    assert done.exit_code == 0


@pytest.mark.slow
def test_the_worst_comes_first(farm):
    farm.before()
    cases = [
        {"variant": "float32"},
        {"variant": "int8", "flash_bytes": 4000},
        {"variant": "sparse", "flash_bytes": 100},
    ]
    lines = check_screen(farm.finish(farm.measure(*cases, ticks=[1050] * 30)).summary)
    told = [line for line in lines if line.startswith(("  worse", "  better"))]
    assert told[0] == "  worse: digits/int8 on nano33: flash +2,000"
    assert told[1].endswith("latency +5.00 %")
    assert told[-1] == "  better: digits/sparse on nano33: flash -1,900"


def test_a_failed_case_fails_the_night(farm):
    run = farm.measure({"variant": "float32"}, {"variant": "int8", "status": "failed", "reason": "no answer\nmore"})
    done = farm.finish(run, planned(run, VARIANTS[:2]))
    assert (done.exit_code, done.counts["failed"]) == (1, 1)
    lines = check_screen(done.summary)
    assert "  FAILED digits/int8 on nano33: no answer" in lines
    assert lines[-1] == "FAILED: 1 failed (exit code 1)"
    tests = {item.get("name"): item for item in ET.parse(farm.folder / "junit.xml").iter("testcase")}  # noqa: S314
    assert tests["int8"].find("failure").text == "no answer\nmore"
    assert tests["float32"].find("failure") is None


def test_out_of_time(farm):
    reason = "out of time, or no board could take it"
    run = farm.measure({"variant": "float32"}, {"variant": "int8", "status": "skipped", "reason": reason})
    done = farm.finish(run, planned(run, VARIANTS[:2]))
    assert (done.state, done.exit_code) == ("out of time", 7)
    assert check_screen(done.summary)[-1] == f"INCOMPLETE: 1 not measured: {reason} (exit code 7)"
    (skipped,) = ET.parse(farm.folder / "junit.xml").iter("skipped")  # noqa: S314 (our own)
    assert skipped.get("message") == reason


def test_a_case_that_failed_counts_more_than_one_left(farm):
    cases = [{"variant": name, "status": word, "reason": "x"} for name, word in (("a", "failed"), ("b", "skipped"))]
    run = farm.measure(*cases)
    assert farm.finish(run, planned(run, "ab")).exit_code == 1


def test_a_planned_case_that_the_run_lost_has_failed(farm):
    run = farm.measure({"variant": "float32"}, {"variant": "int8"})
    done = farm.finish(run)
    assert (done.exit_code, done.counts) == (1, {"complete": 2, "failed": 1, "skipped": 0})
    assert "digits/sparse on nano33: nothing of it is in the run" in done.summary
    assert len(list(ET.parse(farm.folder / "junit.xml").iter("testcase"))) == 3  # noqa: S314 (our own)


def test_nothing_was_measured(farm, tmp_path):
    done = farm.finish(tmp_path / "results" / "20261121T220000Z-abcdef")
    assert (done.state, done.exit_code, done.report) == ("nothing measured", 5, None)
    assert done.counts == {"complete": 0, "failed": 0, "skipped": 3}
    assert check_screen(done.summary)[-1] == "NOTHING was measured (exit code 5)"


def test_the_first_night_has_nothing_to_be_held_against(farm):
    done = farm.finish(farm.measure(), fail_on="ticks>2%")
    assert done.exit_code == 0
    assert any(line.startswith("Not compared: ") for line in check_screen(done.summary))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("nightly", "words"),
    [
        ({"baseline": "main", "fail_on": "ticks>2%"}, "Not compared: no baseline 'main'"),
        ({"fail_on": "ticks>2%,energy>2%"}, "\n  NOT CHECKED: energy>2%: energy was not compared"),
    ],
)
def test_limits_that_cannot_be_checked_are_not_passed(farm, nightly, words):
    if "baseline" not in nightly:
        farm.before()
    done = farm.finish(farm.measure(), **nightly)
    assert done.exit_code == 6
    assert words in done.summary
    assert "worse:" not in done.summary
    assert check_screen(done.summary)[-1].startswith("UNCHECKED: fail_on, or a part of it, couldn't be held against")


def test_an_unfinished_run_is_refused(farm):
    run = farm.measure()
    (run / "journal-w1.jsonl").write_text("")
    with pytest.raises(StoreError, match="is unfinished"):
        farm.finish(run)
    assert not (farm.folder / "finished.json").exists()


def test_a_run_that_cannot_be_read_ends_the_night_as_failed(farm):
    run = farm.measure()
    (run / "cases.parquet").write_bytes(b"PAR1")
    done = farm.finish(run)
    assert (done.state, done.exit_code) == ("unreadable", 1)
    assert f"{run.name}/cases.parquet is damaged" in done.summary
    assert len(list(ET.parse(farm.folder / "junit.xml").iter("failure"))) == 3  # noqa: S314 (our own)
    check_screen(done.summary)


# ---- what the screen says


def test_boards_that_were_not_used_say_why(farm):
    run = farm.measure()
    plan = planned(run)
    plan["cases"][0]["devices"] = ["nano33", "bench-2", "bench-3"]
    Ledger(farm.folder.parents[1], HealthRules()).quarantine("bench-2", "its USB socket is loose", "sam")
    (farm.folder / "hosts").mkdir()
    boards = {
        "bench-3": {"state": "unavailable", "case": None, "reason": "not attached"},
        "nano33": {"state": "done", "case": None, "reason": ""},
    }
    (farm.folder / "hosts" / "host1.json").write_text(json.dumps({"boards": boards}))
    (farm.folder / "hosts" / "host2.json").write_text("{")
    for number, (device, reason) in enumerate([("bench-4", "no ACK"), ("nano33", "once")]):
        add_try(farm.folder, Try(number, device, "failed", "LinkError", reason))
    done = farm.finish(run, plan)
    lines = check_screen(done.summary)
    assert "  not used: bench-2: quarantined: its USB socket is loose" in lines
    assert "  not used: bench-3: not attached" in lines
    assert "  not used: bench-4: LinkError: no ACK" in lines  # it failed with all that it tried
    assert "LinkError: once" not in done.summary  # while this one measured other cases


@pytest.mark.slow
def test_much_of_everything_is_still_one_screen(farm):
    nasty = "\x1b[2J" + "no answer \u65e5\u672c" * 30
    names = [f"v{number}" for number in range(16)]
    for day in (18, 19, 20):
        write_run(
            farm.results, cases=[{"variant": name} for name in (*names, "gone", "too")], when=f"2026-11-{day}T23:00:00"
        )
    cases = [{"variant": name, "flash_bytes": 3000 if k % 2 else 1000} for k, name in enumerate(names)]
    cases += [{"variant": f"f{number}", "status": "failed", "reason": nasty} for number in range(20)]
    run = farm.measure(*cases)
    plan = planned(run, [case["variant"] for case in cases])
    plan["cases"][0]["devices"] = [f"bench-{number}" for number in range(9)]
    (farm.folder / "hosts").mkdir()
    boards = {f"bench-{number}": {"state": "failed", "reason": nasty} for number in range(9)}
    (farm.folder / "hosts" / "host1.json").write_text(json.dumps({"boards": boards}))
    done = farm.finish(run, plan, notes=[nasty] * 5, fail_on="flash>0")
    lines = check_screen(done.summary)
    assert len(lines) == 24
    assert "\x1b" not in done.summary
    assert len([line for line in lines if line.startswith("  can't tell: ")]) == 2
    assert "  FAILED 17 more; see the report" in lines
    assert "  worse: 5 more; see the report" in lines
    assert lines[-1] == "FAILED: 20 failed, worse than allowed (exit code 1)"


# ---- store, old data, and being killed


@pytest.mark.slow
def test_it_is_published_and_a_store_that_fails_loses_nothing(farm, tmp_path):
    run = farm.measure()
    done = farm.finish(run, store=str(tmp_path / "store"))
    assert (done.exit_code, (tmp_path / "store" / run.name / "cases.parquet").is_file()) == (0, True)
    shutil.rmtree(farm.folder)
    farm.folder.mkdir()
    done = farm.finish(run, store="nosuch://x")
    assert done.exit_code == 1
    assert "Note: NOT published: " in done.summary
    assert check_screen(done.summary)[-1] == "FAILED: not published (exit code 1)"


def test_raw_data_of_old_nights_is_pruned(farm):
    old = farm.measure()
    about = json.loads((old / "run.json").read_text())
    about["ended_utc"] = (datetime.now(UTC) - timedelta(days=31)).isoformat()
    (old / "run.json").write_text(json.dumps(about))
    new = farm.measure()
    assert farm.finish(new).exit_code == 0
    assert not (old / "samples.parquet").exists()
    assert (new / "samples.parquet").exists()
    assert json.loads((farm.folder / "finished.json").read_text())["pruned"] == 1


def test_tags_that_cannot_be_read_stop_pruning_and_not_the_night(farm):
    run = farm.measure()
    (farm.results / "baselines.json").write_text("{")
    assert farm.finish(run).exit_code == 0
    assert "is damaged" in json.loads((farm.folder / "finished.json").read_text())["prune_error"]


def test_a_night_that_has_ended_is_only_read(farm):
    run = farm.measure()
    done = farm.finish(run)
    before = {path: path.stat().st_mtime_ns for path in farm.folder.rglob("*") if path.name != "plan.json"}
    assert farm.finish(run) == done
    assert {path: path.stat().st_mtime_ns for path in before} == before


@pytest.mark.slow
@pytest.mark.parametrize("step", ["write_report", "publish_to", "prune"])
def test_killed_on_the_way_it_is_done_again_with_the_same_outcome(farm, tmp_path, monkeypatch, step):
    class KilledError(BaseException):
        pass

    def killed(*_args, **_kwargs):
        raise KilledError

    farm.before()
    run = farm.measure(ticks=[1100] * 30)
    plan = planned(run)
    with monkeypatch.context() as patch:
        patch.setattr(finish, step, killed)
        with pytest.raises(KilledError):
            farm.finish(run, plan, store=str(tmp_path / "store"), fail_on="ticks>2%")
    assert not (farm.folder / "finished.json").exists()
    if step == "prune":  # as if it had got so far: the comparison can't be made again
        for night in farm.results.glob("2*"):
            if night != run:
                (night / "samples.parquet").unlink()
                about = json.loads((night / "run.json").read_text())
                (night / "run.json").write_text(json.dumps({**about, "pruned_utc": "2026-11-21T00:00:00+00:00"}))
    done = farm.finish(run, plan, store=str(tmp_path / "store"), fail_on="ticks>2%")
    assert (done.exit_code, done.regressed) == (1, True)
    assert "latency +10.00 %" in done.summary
    assert not (farm.folder / "outcome.json").exists()
