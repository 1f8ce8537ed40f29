"""The static site: what it shows of a farm, whole or damaged, and what it does to the folder that it is in."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from datetime import datetime, timedelta
from html.parser import HTMLParser
from urllib.parse import unquote, urljoin

import pytest
from click.testing import CliRunner

from fakes.made_farm import REPORT, Farm, finish, hold, put
from fakes.recorded_runs import VARIANTS
from harness.cli import main
from harness.config import Lab
from harness.config.nightly import Nightly
from harness.errors import ConfigError
from harness.farm.finish import finish_night
from harness.farm.night import NightExit
from harness.farm.site import Site, boards, runs
from harness.locks.lease_files import LeaseFiles
from harness.store.folders import is_run

DEEP = "[" * 100_000
EVIL = '"><img src=x onerror=alert(1)><script>alert(1)</script>\x1b[31m\u202e{{ 7 * 7 }}'
HIDDEN = "the secret of another file"
COMMAND = (sys.executable, "-c", "from harness.cli import main; main()", "site")


@pytest.fixture
def farm(tmp_path, monkeypatch):
    monkeypatch.setenv("HIL_HOST", "here")
    monkeypatch.setenv("HIL_USER", "anna")
    monkeypatch.setenv("HIL_LEASES", str(tmp_path / "leases"))
    made = Farm(tmp_path / "farm")
    yield made
    made.close()


class Look:
    """A site as it was written: its files, and what status.json says."""

    def __init__(self, farm, site=None, **more):
        self.out = farm.folder / "site"
        (site or Site(farm.lab, farm.results, self.out)).write(**more)
        self.status = json.loads(self.read("status.json"))
        self.files = {str(path.relative_to(self.out)) for path in self.out.rglob("*") if path.is_file()}
        self.concerns, self.unknown = self.status["concerns"], self.status["unknown"]

    def read(self, path):
        return (self.out / path).read_text("utf-8")

    def board(self, name):
        return next(one for one in self.status["boards"] if one["name"] == name)


class Reader(HTMLParser):
    """What a browser and a screen reader find in a page: links, elements, headings, tables with the cells' labels."""

    def __init__(self, page):
        super().__init__()
        self.title, self.links, self.tags, self.tables, self.text, self._inside = "", [], [], [], "", ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        about, self._inside = dict(attrs), tag
        self.tags.append((tag, about))
        self.links += [about["href"]] if tag == "a" else []
        if tag == "table":
            self.tables.append((about["aria-label"], [], []))
        elif tag == "th" and about["scope"] == "col":
            self.tables[-1][1].append("")
        elif tag in ("th", "td"):
            assert about["role"] == ("cell" if tag == "td" else "rowheader")
            self.tables[-1][2].append(about.get("data-label"))

    def handle_data(self, data):
        self.text += "" if self._inside == "style" else data
        self.title += data if self._inside == "title" else ""
        if self._inside == "th" and self.tables and not self.tables[-1][2]:
            self.tables[-1][1][-1] += data

    def handle_endtag(self, tag):
        self._inside = ""


def running(farm, **plan):
    folder = farm.night("2026-11-21", age_h=1, **plan)
    doing = {"bench-1": {"state": "measuring", "case": f"fashion_mnist::{VARIANTS[2].name}", "reason": ""}}
    put(folder / "hosts" / "here.json", {"host": "here", "state": "measuring", "boards": doing})
    return folder


# ---- boards


def test_a_farm_without_a_trace_of_anything_is_well(farm):
    farm.results.rmdir()
    farm.state.rmdir()
    look = Look(farm)
    assert (look.concerns, look.unknown, look.status["nights"], look.status["runs"]) == ([], [], [], [])
    assert {one["state"] for one in look.status["boards"] if one["name"] != "far-1"} == {"free"}
    assert look.board("far-1")["state"] == "elsewhere"
    assert "All is well" in look.read("index.html")
    assert "No cases yet." in look.read("board/bench-1.html")
    assert not farm.state.exists(), "looking makes nothing"


def test_a_lab_without_boards_says_what_makes_some(farm):
    put(farm.folder / "devices.yaml", "devices: {}")
    page = Look(farm).read("index.html")
    assert "<title>no boards yet" in page
    assert f"No board is configured ({farm.folder}/devices.yaml)" in page


def test_a_held_board_tells_who_holds_it_and_for_what(farm):
    farm.hold("bench-2", "pytest suites/")
    look = Look(farm)
    held = look.board("bench-2")
    assert (held["state"], held["why"], held["held"]["pid"]) == ("held", "by anna", os.getpid())
    assert "anna: pytest suites/" in look.read("index.html")
    assert "anna, process " in look.read("board/bench-2.html")
    assert look.board("bench-1")["state"] == "free"


def _hold_until_killed(devices, ready):
    lease = hold(Lab.load(devices), "bench-3", "a run")
    ready.set()
    signal.pause()
    lease.release()


@pytest.mark.slow
def test_a_holder_that_was_killed_holds_nothing_and_its_files_are_left_alone(farm, tmp_path):
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    holder = context.Process(target=_hold_until_killed, args=(farm.folder / "devices.yaml", ready))
    holder.start()
    assert ready.wait(60)
    assert Look(farm).board("bench-3")["state"] == "held"
    os.kill(holder.pid, signal.SIGKILL)
    holder.join()
    before = sorted(path.name for path in (tmp_path / "leases").iterdir())
    assert Look(farm).board("bench-3")["state"] == "free"
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
    held = Look(farm).board("bench-2")
    assert (held["state"], held["held"]["purpose"]) == ("held", "second")


def test_a_holder_without_a_sign_of_life_is_a_concern(farm, tmp_path):
    farm.hold("bench-2", "a run")
    (path,) = (tmp_path / "leases").glob("*.json")
    content = json.loads(path.read_text())
    put(path, {**content, "beat_s": content["beat_s"] - 1000})
    look = Look(farm)
    assert look.board("bench-2")["held"]["expired"]
    assert look.concerns == ["Held by a process that shows no sign of life: bench-2"]


def test_a_reserved_board_tells_for_whom_and_a_free_one_who_is_next(farm):
    farm.reserve("bench-1", "ben", "class", hours=2)
    farm.reserve("bench-1", "carla", "", after_h=3)
    farm.reserve("bench-2", "carla", "demo", after_h=5)
    look = Look(farm)
    first, second = look.board("bench-1"), look.board("bench-2")
    assert (first["state"], first["why"], [one["owner"] for one in first["reservations"]]) == (
        *("reserved", "by ben"),
        ["ben", "carla"],
    )
    assert (second["state"], second["reservations"][0]["purpose"]) == ("free", "demo")
    assert re.search(r"ben: class<span class=\"below\">now, until ", look.read("index.html"))
    assert re.search(r"carla: demo<span class=\"below\">from ", look.read("index.html"))


def test_a_board_that_somebody_has_in_labgrid_is_held_and_the_others_may_be(farm):
    content = json.loads((farm.folder / "devices.yaml").read_text())
    content["farm"]["labgrid"] = {"client": str(farm.folder / "fake-client")}
    for name in ("bench-1", "bench-2"):
        content["devices"][name]["labgrid"] = f"place-{name}"
    put(farm.folder / "devices.yaml", content)
    said = {"place-bench-1": "ben-pc/ben", "place-bench-2": "None"}
    shown = "".join(f"  {name}) echo \"Place '{name}':\"; echo '  acquired: {who}' ;;\n" for name, who in said.items())
    client = farm.folder / "fake-client"
    client.write_text(f"#!/bin/sh\ncase ${{3#--place=}} in\n{shown}esac\n")
    client.chmod(0o755)
    look = Look(farm)
    assert (look.board("bench-1")["state"], look.board("bench-1")["why"]) == ("held", "by ben-pc/ben in labgrid")
    assert (look.board("bench-2")["state"], look.unknown) == ("free", [])
    client.write_text("#!/bin/sh\necho 'Could not connect to coordinator' >&2\nexit 1\n")
    (unknown,) = Look(farm).unknown
    assert unknown.startswith("who has boards in labgrid can't be told: labgrid's coordinator at ")


def test_a_calendar_that_is_not_there_is_said(farm):
    content = json.loads((farm.folder / "devices.yaml").read_text())
    content["farm"]["calendar"] = "lost.ics"
    put(farm.folder / "devices.yaml", content)
    (unknown,) = Look(farm).unknown
    assert "lost.ics, which devices.yaml names, isn't there" in unknown


def test_quarantine_comes_before_everything_else(farm):
    farm.reserve("bench-1", "ben", "class")
    farm.hold("bench-1", "a test")
    farm.book.quarantine("bench-1", "its cable is loose", "carla")
    look = Look(farm)
    assert (look.board("bench-1")["state"], look.board("bench-1")["why"]) == ("quarantined", "its cable is loose")
    assert look.board("bench-1")["held"] is not None
    assert look.concerns == ["Quarantined: bench-1"]


def test_health_is_that_of_the_book_with_the_cases_it_comes_from(farm):
    farm.events("bench-1", "....x.")
    look = Look(farm)
    seen, judged = look.board("bench-1")["health"], farm.book.summary("bench-1").health
    assert (seen["state"], seen["cases"], seen["attempts"]) == (judged.state, 6, judged.attempts)
    assert (seen["rate"]["ok"], seen["rate"]["low"]) == (5, judged.rate.low)
    page = look.read("board/bench-1.html")
    assert "5 of 6 that count" in page
    assert "LinkError: no answer within 5 s" in page
    assert "5 of the last 6 cases and checks worked" in page


def test_a_board_that_fails_is_suspect_before_it_is_quarantined(farm):
    farm.events("bench-1", "....xx")
    assert Look(farm).concerns == ["Suspect: bench-1"]


def test_a_boards_page_tells_how_it_got_into_and_out_of_quarantine(farm):
    farm.book.quarantine("bench-1", "loose", "carla")
    farm.book.release("bench-1", "ben", "tightened")
    page = Look(farm).read("board/bench-1.html")
    assert 0 < page.index("tightened") < page.index("loose")


def test_only_boards_of_this_host_can_be_missing_from_it(farm, monkeypatch):
    real = {"kind": "nano33", "probe": "1234", "port": {"serial": "5678"}}
    theirs = {"kind": "nano33", "probe": "4321", "host": "there"}
    devices = {"mine": real, "theirs": theirs, "emulated": {"kind": "nano33", "backend": "virtual"}}
    put(farm.folder / "devices.yaml", {"devices": devices, "farm": {"state": "state"}})
    monkeypatch.setattr(boards, "attached_probes", list)
    monkeypatch.setattr(boards, "attached_ports", list)
    look = Look(farm)
    assert [look.board(name)["state"] for name in devices] == ["missing", "elsewhere", "free"]
    assert look.board("mine")["why"] == "its probe 1234 is not attached"
    assert look.concerns == ["Missing: mine"]

    def broken():
        raise RuntimeError("no backend")

    monkeypatch.setattr(boards, "attached_probes", broken)
    assert Look(farm).unknown == ["what is plugged in can't be told: no backend"]


# ---- nights and runs


def test_a_running_night_shows_progress_and_what_each_board_does(farm):
    folder = running(farm)
    tries = [(0, "done"), (1, "failed"), (1, "done"), (2, "lost"), (4, "unavailable"), (-1, "failed")]
    lines = [json.dumps({"case": case, "device": "bench-2", "outcome": outcome}) for case, outcome in tries]
    put(folder / "tries.jsonl", "\n".join([*lines, '{"case": 3, "outc']))
    other = farm.results / "20260101T000000Z-other0"
    for run in (other, farm.results / "20261121T010000Z-night0"):
        put(run / "journal-a.jsonl", "")
    look = Look(farm)
    night = look.status["night"]
    assert (night["verdict"], night["done"], night["total"], night["gave_up"]) == ("running", 2, 6, 2)
    assert [(run["name"], run["state"]) for run in look.status["runs"]] == [
        (night["run"], "running"),
        (other.name, "unfinished"),
    ]
    assert look.board("bench-1")["doing"]["case"] == f"fashion_mnist::{VARIANTS[2].name}"
    assert look.concerns == []
    page = look.read("night/2026-11-21.html")
    assert '<progress max="6" value="2"' in page
    shown = re.findall(r'rowheader">(\d)<.*?label="board">(\S+?)<.*?</span> (\w+)</span>', page, re.DOTALL)
    assert [(number, word) for number, _, word in shown] == [
        *(("0", "done"), ("1", "done"), ("2", "measuring")),
        *((str(number), "waiting") for number in (3, 4, 5)),
    ]
    assert shown[2][1] == "bench-1"


@pytest.mark.parametrize("run", ["x" * 300, "a/" * 3000, "\ud800", "a/\ud800", "..", "/etc", "~", 5, None, []])
def test_a_plan_may_name_any_folder_as_its_run(farm, run):
    folder = running(farm)
    put(folder / "plan.json", {**json.loads((folder / "plan.json").read_text()), "run": run})
    look = Look(farm)
    assert [(night["id"], night["total"]) for night in look.status["nights"]] == [("2026-11-21", 6)]
    assert look.read("night/2026-11-21.html").count('<tr role="row">') > 6


@pytest.mark.parametrize("minutes", [-30, 60])
def test_a_night_without_a_fresh_sign_of_life_stands_still(farm, minutes):
    folder = running(farm)
    then = (farm.now + timedelta(minutes=minutes)).timestamp()
    os.utime(folder / "hosts" / "here.json", (then, then))
    look = Look(farm)
    assert look.status["night"]["verdict"] == "stopped"
    assert look.concerns == [
        "Night 2026-11-21 stands still: no host shows a sign of life. `hil nightly` goes on with it"
    ]
    assert look.board("bench-1")["doing"] is None


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
    look = Look(farm)
    assert [night["verdict"] for night in look.status["nights"]] == [verdict]
    assert look.concerns == [f"Night 2026-11-20 {words}" for words in concern]
    assert look.status["night"] is None


@pytest.mark.slow
def test_a_night_that_hil_nightly_ended_is_understood(farm):
    run = farm.run(report=False)
    folder = farm.night("2026-11-20", run=run, cases=3)
    plan = json.loads((folder / "plan.json").read_text())
    outcome = finish_night(folder, plan, Nightly(baseline=None), run, farm.results)
    look = Look(farm)
    (night,) = look.status["nights"]
    assert (night["verdict"], night["state"], night["exit_code"]) == ("passed", "complete", 0)
    assert (night["counts"], night["total"], night["done"], night["regressed"]) == ({"complete": 3}, 3, 3, False)
    assert night["summary"] == outcome.summary
    assert look.read("night/2026-11-20.report.html").endswith(outcome.report.read_text("utf-8"))


def test_nights_come_newest_first_and_only_those(farm):
    for name in ("2026-11-19", "2026-11-20", "2026-11-20.2", "2026-11-20.10", "2026-11-18"):
        finish(farm.night(name), farm.now)
    (farm.state / "nights" / "notes").mkdir()
    (farm.state / "nights" / "2026-12-01").symlink_to("/")
    assert [night["id"] for night in Look(farm).status["nights"]] == [
        *("2026-11-20.10", "2026-11-20.2", "2026-11-20", "2026-11-19", "2026-11-18"),
    ]


def test_runs_come_newest_first_with_their_outcomes(farm):
    old = farm.run(name="20260101T000000Z-aaaaaa")
    new = farm.run(name="20260301T000000Z-bbbbbb", reason="too slow", report=False)
    unfinished = farm.results / "20260201T000000Z-cccccc"
    put(unfinished / "journal.jsonl", "")
    finish(farm.night("2026-11-20", run=new), farm.now)
    look = Look(farm)
    assert [(run["name"], run["verdict"], run["counts"], run["report"]) for run in look.status["runs"]] == [
        (new.name, "failed", {"complete": 3, "failed": 1}, False),
        (unfinished.name, "unfinished", None, False),
        (old.name, "complete", {"complete": 3}, True),
    ]
    assert "too slow" in look.read("night/2026-11-20.html")
    page = look.read("index.html")
    assert f'href="report/{old.name}.html"' in page
    assert '<a href="night/2026-11-20.html">night 2026-11-20</a>' in page, "the failed run's report is the night's"


def test_a_run_that_may_not_be_read_hides_no_other_one(farm, monkeypatch):
    readable, locked = farm.run(), farm.results / "20990101T000000Z-locked"
    locked.mkdir()

    def refuse(folder):
        if folder == locked:
            raise PermissionError(errno.EACCES, "Permission denied", str(folder))
        return is_run(folder)

    monkeypatch.setattr(runs, "is_run", refuse)
    assert [run["name"] for run in Look(farm).status["runs"]] == [locked.name, readable.name]


def test_what_ends_while_it_is_looked_at_is_not_damaged(farm, monkeypatch):
    folder, read, run = running(farm), runs.read_json, farm.run()
    cases = (run / "cases.parquet").rename(run / "not yet")
    put(run / "journal.jsonl", "")

    def read_too_early(path):
        content = read(path)
        if path.name == "finished.json":
            finish(folder, farm.now)
        if path.parent == run and cases.exists():
            cases.rename(run / "cases.parquet")
        return content

    monkeypatch.setattr(runs, "read_json", read_too_early)
    first, second = Look(farm), Look(farm)
    assert (first.unknown, second.unknown) == ([], [])
    assert [night["state"] for look in (first, second) for night in look.status["nights"]] == ["running", "complete"]
    assert "damaged" not in [run["state"] for run in first.status["runs"]]


def test_reports_that_lead_elsewhere_are_not_shown(farm):
    outside = farm.folder / "outside"
    put(outside / "report.html", HIDDEN)
    one, other, third = (farm.run(report=False) for _ in range(3))
    (one / "report.html").symlink_to(outside / "report.html")
    (other / "report.html").symlink_to(other / "run.json")
    (third / "report.html").symlink_to(third / "report.html")
    (farm.results / "20990101T000000Z-linked").symlink_to(outside)
    os.mkfifo(farm.run(report=False) / "report.html")
    put(outside / "journal.jsonl", "")
    look = Look(farm)
    assert [run["report"] for run in look.status["runs"]] == [False] * 4
    assert not [path for path in look.files if HIDDEN in look.read(path)]


def test_in_a_report_no_script_runs_but_our_own(farm):
    run = farm.run()
    page = Look(farm).read(f"report/{run.name}.html")
    before, _, after = page.partition(REPORT)
    assert after == ""
    assert re.fullmatch(
        r'<!doctype html>\n<meta charset="utf-8">\n<meta http-equiv="Content-Security-Policy" content="default-src '
        r"'none'; style-src 'unsafe-inline'; img-src data:; script-src 'sha256-\S{44}'; base-uri 'none'; "
        r"form-action 'none'\">\n",
        before,
    )


# ---- what is damaged or hostile


@pytest.mark.parametrize("damage", ["", "{", "[1, 2]", "null", '{"boards": 3}', DEEP, "\0\xff", '{"a": NaN, "at": 7}'])
def test_no_damaged_file_breaks_the_site(farm, tmp_path, damage):
    farm.hold("bench-1", "a run")
    farm.reserve("bench-2", "ben", "class")
    farm.events("bench-3", "..x")
    farm.book.quarantine("bench-4", "broken", "carla")
    run = farm.run()
    put(running(farm) / "tries.jsonl", "")
    finish(farm.night("2026-11-20", run=run), farm.now)
    for folder in (farm.state, farm.results, tmp_path / "leases"):
        for path in folder.rglob("*.*"):
            if path.is_file() and path.suffix in (".json", ".jsonl", ".parquet", ".ics"):
                path.write_bytes(damage.encode("latin-1"))
    look = Look(farm)
    assert look.board("bench-4")["state"] == "unknown", "what may be quarantined isn't shown as free"
    assert any("reservations.ics" in text for text in look.unknown)
    assert any("2026-11-21: plan.json" in text for text in look.unknown)
    assert look.status["runs"][0]["counts"] is None
    assert {"board/bench-4.html", "night/2026-11-21.html"} <= look.files


def test_unreadable_folders_are_unknown_and_not_empty(farm):
    (farm.state / "nights").write_text("a file")
    (farm.state / "reservations.ics").mkdir()
    unknown = " ".join(Look(farm).unknown)
    assert "nights" in unknown
    assert "reservations" in unknown


def test_a_state_folder_that_vanishes_leaves_no_board_free(farm):
    farm.book.quarantine("bench-1", "broken", "carla")
    farm.run()
    site = Site(farm.lab, farm.results, farm.folder / "site")
    assert Look(farm, site).unknown == []
    shutil.rmtree(farm.state)
    shutil.rmtree(farm.results)
    farm.results.mkdir()
    look = Look(farm, site)
    assert look.unknown[:2] == [
        f"{folder} is gone or empty, and wasn't before" for folder in (farm.state, farm.results)
    ]
    assert {(one["state"], one["health"]) for one in look.status["boards"]} == {("unknown", None)}


def test_an_edited_lab_is_read_again_and_a_wrong_one_is_said(farm):
    site = Site(farm.lab, farm.results, farm.folder / "site")
    assert len(Look(farm, site).status["boards"]) == 9
    put(farm.folder / "devices.yaml", {"farm": {"state": "state"}, "devices": {"only": {"kind": "nano33"}}})
    assert [one["name"] for one in Look(farm, site).status["boards"]] == ["only"]
    put(farm.folder / "devices.yaml", "devices: [")
    look = Look(farm, site)
    assert [one["name"] for one in look.status["boards"]] == ["only"]
    assert look.unknown[0].endswith("; shown is what it said before")


def hostile(farm, monkeypatch):
    """Make a farm whose every string is hostile."""
    monkeypatch.setenv("HIL_HOST", EVIL)
    monkeypatch.setenv("HIL_USER", EVIL)
    farm.hold("bench-1", EVIL)
    farm.reserve("bench-1", EVIL, EVIL, after_h=1)
    farm.reserve("bench-2", EVIL, EVIL)
    farm.events("bench-3", "..xxxx", reason=EVIL)
    farm.book.quarantine("bench-3", EVIL, EVIL)
    odd = farm.run(name=f"20260101T000000Z-{EVIL.replace('/', '-')}", reason=EVIL)
    folder = farm.night("2026-11-21", run=odd, age_h=1)
    doing = {"bench-4": {"state": EVIL, "case": EVIL, "reason": "x" * 10_000}, EVIL: {"state": [EVIL], "case": {}}}
    put(folder / "hosts" / "here.json", {"host": EVIL, "state": EVIL, "boards": doing})
    ended = farm.night("2026-11-20", run=odd)
    plan = json.loads((ended / "plan.json").read_text())
    plan["cases"] = [{**case, "task": EVIL, "variant": EVIL, "target": EVIL} for case in plan["cases"]]
    put(ended / "plan.json", {**plan, "run": EVIL})
    finish(ended, farm.now, exit_code=1, state=EVIL, summary=f"one\n{EVIL}\n")


def test_no_string_becomes_markup_or_moves_a_cursor(farm, monkeypatch):
    hostile(farm, monkeypatch)
    look = Look(farm, refresh=True)
    pages = [path for path in look.files if path.endswith(".html") and "report" not in path]
    shown = {}
    for path in pages:
        page, found = look.read(path), Reader(look.read(path))
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", page), path
        assert not {tag for tag, _ in found.tags} & {"script", "img", "iframe", "object", "link script", "form"}, path
        assert not [about for _, about in found.tags if [name for name in about if name.startswith("on")]], path
        assert all(re.fullmatch(r"(\.\./)?[\w.%-]+(/[\w.%-]+)*\.(html|json)", link) for link in found.links), path
        shown[path] = found.text
    harmless = '"><img src=x onerror=alert(1)><script>alert(1)</script>\\x1b[31m\\u202e{{ 7 * 7 }}'
    for path in ("index.html", "board/bench-3.html", "night/2026-11-20.html", "night/2026-11-21.html"):
        assert harmless in shown[path], path
    assert "x" * 297 + "..." in shown["night/2026-11-21.html"]
    assert "x" * 298 not in shown["night/2026-11-21.html"]


@pytest.mark.parametrize(("zone", "when"), [("America/New_York", "0001-01-01"), ("Asia/Tokyo", "9999-12-31")])
def test_no_time_is_too_far_away_to_be_shown(farm, monkeypatch, zone, when):
    when = f"{when}T23:00:00+00:00" if when > "5" else f"{when}T00:00:00+00:00"
    farm.book.quarantine("bench-1", "loose", "carla")
    (path,) = (farm.state / "quarantine").glob("bench-1.json")
    put(path, {**json.loads(path.read_text()), "since": when})
    night = farm.night("2026-11-20")
    finish(night, datetime.fromisoformat(when))
    put(night / "plan.json", {"created": when, "deadline": when, "cases": []})
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        page = Look(farm).read("board/bench-1.html")
    finally:
        monkeypatch.undo()
        time.tzset()
    assert f"since {when[:10]} {when[11:16]}+00:00 by carla" in page


# ---- the pages


@pytest.fixture
def full(farm):
    farm.events("bench-1", "..x.")
    farm.reserve("bench-1", "ben", "", after_h=1)
    farm.book.quarantine("bench-1", "loose", "carla")
    finish(farm.night("2026-11-20", run=farm.run()), farm.now, summary="one\n  two\n")
    running(farm)
    return farm


@pytest.mark.parametrize("refresh", [False, True])
def test_every_link_leads_to_a_page_of_the_site(full, refresh):
    look = Look(full, refresh=refresh)
    linked = {"index.html"}
    for path in [path for path in look.files if path.endswith(".html")]:
        links = Reader(look.read(path)).links
        assert not [link for link in links if link.startswith(("/", "http"))], path
        linked |= {unquote(urljoin(f"file:///{path}", link)).removeprefix("file:///") for link in links}
    assert linked == {path for path in look.files if not path.startswith(".")}, "no link is dead, and no page is alone"


def test_pages_say_when_they_were_written_and_only_a_watched_site_asks_for_newer_ones(full):
    look = Look(full)
    for path in (path for path in look.files if path.endswith(".html") and "report" not in path):
        assert re.search(r"as of \w{3} \d\d \w{3} \d{4} \d\d:\d\d:\d\d \S+", look.read(path)), path
        assert 'http-equiv="refresh"' not in look.read(path)
        assert "Content-Security-Policy\" content=\"default-src 'none'; style-src 'sha256-" in look.read(path)
    watched = Look(full, refresh=True)
    again = {path for path in watched.files if 'http-equiv="refresh" content="10"' in watched.read(path)}
    assert again == {"index.html", "night/2026-11-21.html"}
    assert watched.files - look.files == {"index.still.html", "night/2026-11-21.still.html"}
    page = watched.read("index.html")
    assert page.index('href="index.still.html"') < page.index('href="board/bench-1.html"'), (
        "it can be stopped before it moves the focus"
    )
    assert Look(full).files == look.files, "a site that isn't watched any more keeps no page that asks for itself"


def test_a_screen_reader_finds_its_way(full):
    look = Look(full)
    expected = {"index.html": 4, "board/bench-1.html": 3, "night/2026-11-20.html": 1, "night/2026-11-21.html": 2}
    for path, tables in expected.items():
        found = Reader(look.read(path))
        tags = [tag for tag, _ in found.tags]
        assert (dict(found.tags)["html"]["lang"], tags.count("h1"), len(found.tables)) == ("en", 1, tables), path
        assert next(tag for tag in tags if tag in ("h1", "h2", "h3")) == "h1"
        assert len(found.title) > 5
        for label, columns, cells in found.tables:
            assert label
            assert all(columns)
            assert cells == [None, *columns[1:]] * (len(cells) // len(columns)), label
            assert len(cells) >= len(columns)
    assert "one\n  two\n" in look.read("night/2026-11-20.html")


# ---- the folder


def test_pages_of_what_is_gone_are_removed_and_nothing_else(full):
    first = Look(full)
    put(first.out / "CNAME", "boards.example.org")
    put(first.out / "board" / "photo.html", "mine")
    shutil.rmtree(full.state / "nights")
    shutil.rmtree(full.results)
    full.results.mkdir()
    put(full.folder / "devices.yaml", {"farm": {"state": "state"}, "devices": {"only": {"kind": "nano33"}}})
    second = Look(full)
    assert {path for path in second.files if not path.startswith(".")} == {
        *("index.html", "status.json", "board/only.html", "board/photo.html", "CNAME"),
    }
    assert not (second.out / "night").exists()
    assert (second.read("CNAME"), second.read("board/photo.html")) == ("boards.example.org", "mine")


def test_a_folder_that_holds_something_else_is_refused(farm):
    out = farm.folder / "site"
    put(out / "index.html", "mine")
    with pytest.raises(ConfigError, match="holds something else, and no site"):
        Site(farm.lab, farm.results, out).write()
    assert [(path.name, path.read_text()) for path in out.iterdir()] == [("index.html", "mine")]


def test_a_file_or_a_link_in_the_way_of_a_page_is_refused(farm):
    look = Look(farm)
    page = look.out / "board" / "late.html"
    put(page, "mine")
    content = json.loads((farm.folder / "devices.yaml").read_text())
    content["devices"]["late"] = {"kind": "nano33"}
    put(farm.folder / "devices.yaml", content)
    with pytest.raises(ConfigError, match=r"late\.html isn't of this site"):
        Look(farm)
    assert page.read_text() == "mine"
    shutil.rmtree(look.out / "board")
    (farm.folder / "elsewhere").mkdir()
    (look.out / "board").symlink_to(farm.folder / "elsewhere")
    with pytest.raises(ConfigError, match="is a link"):
        Look(farm)
    assert not list((farm.folder / "elsewhere").iterdir())


@pytest.mark.parametrize("listed", ["../precious.html", "/etc/passwd", "night/../../precious.html", 5, None])
def test_a_list_that_names_other_files_has_none_removed(farm, listed):
    precious = farm.folder / "precious.html"
    put(precious, "mine")
    look = Look(farm)
    put(look.out / ".hil-site.json", {"files": [listed, *json.loads(look.read(".hil-site.json"))["files"]]})
    Look(farm)
    assert precious.read_text() == "mine"


def _write_again(devices, results, out):
    site = Site(Lab.load(devices), results, out)
    while True:
        site.write()


@pytest.mark.slow
def test_a_page_is_whole_at_any_moment_also_if_its_writer_is_killed(full):
    look = Look(full)
    context = multiprocessing.get_context("spawn")
    arguments = (full.folder / "devices.yaml", full.results, look.out)
    seen = set()
    for _ in range(2):
        writer = context.Process(target=_write_again, args=arguments)
        writer.start()
        deadline, before = time.monotonic() + 60, len(seen)
        while len(seen) < before + 2:
            page = look.read("index.html")
            assert page.endswith("</html>")
            seen.add(json.loads(look.read("status.json"))["at"])
            assert time.monotonic() < deadline
        os.kill(writer.pid, signal.SIGKILL)
        writer.join()
        assert {path for path in Look(full).files if path.startswith(".")} == {".hil-site.json", ".hil-site.lock"}


def test_a_folder_that_cannot_be_written_is_said(farm):
    (farm.folder / "file").write_text("")
    with pytest.raises(ConfigError, match=r"the site can't be written to .*file"):
        Site(farm.lab, farm.results, farm.folder / "file" / "site").write()


# ---- the command


def test_the_command_writes_a_site_and_says_where(farm, monkeypatch):
    run = farm.run()
    text = (farm.folder / "devices.yaml").read_text()
    (farm.folder / "devices.yaml").write_text(text.replace('"state": "state"', '"state": "state", "store": "shared"'))
    farm.results.rename(farm.folder / "shared")
    monkeypatch.chdir(farm.folder)
    ended = CliRunner().invoke(main, ["site", "public"])
    assert (ended.exit_code, ended.output) == (0, "Site: public/index.html\n")
    assert run.name in (farm.folder / "public" / "index.html").read_text("utf-8")
    assert (farm.folder / "public" / "report" / f"{run.name}.html").exists()
    nowhere = CliRunner().invoke(main, ["site", "--lab", str(farm.folder / "devices.yaml")])
    assert (nowhere.exit_code, nowhere.output.splitlines()[-1]) == (
        *(2, "Error: say where to: hil site DIR, or `farm: {site: DIR}` in devices.yaml"),
    )


@pytest.mark.slow
@pytest.mark.parametrize("ended_by", [signal.SIGINT, signal.SIGTERM])
def test_a_watched_site_follows_what_changes_until_it_is_ended(farm, ended_by):
    first = farm.folder / "public" / "index.html"
    process = subprocess.Popen(
        [*COMMAND, "public", "--watch"],
        cwd=farm.folder,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert process.stdout.readline() == (
            "Site: public/index.html is written anew whenever something changes, and once a minute. Ctrl-C ends that.\n"
        )
        assert 'http-equiv="refresh"' in first.read_text("utf-8")
        farm.book.quarantine("bench-1", "its cable is loose", "carla")
        deadline = time.monotonic() + 60
        while "its cable is loose" not in first.read_text("utf-8"):
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(ended_by)
        rest = process.stdout.read()
        assert process.wait(60) == 0, rest
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    assert rest == "\nThe site stays as it is now.\n"
    assert 'http-equiv="refresh"' not in first.read_text("utf-8")
