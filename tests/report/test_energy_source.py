"""Energy is never shown without what it comes from, whichever door shows it."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
from click.testing import CliRunner

from fakes.recorded_runs import VARIANTS, Setting, record_history, record_run
from harness.cli import main
from harness.config.suite import Limit
from harness.measure.limits import check_limits
from harness.report.compare import compare_history, compare_runs
from harness.report.gate import check_limits as check_gate
from harness.report.gate import make_policy, parse_limits
from harness.report.history import history
from harness.report.metrics import energy_name
from harness.report.text import render_gate
from harness.store import load_results

SIMULATED = Setting(samples=30, energy_uj=100, power_source="simulated")
MEASURED = Setting(samples=30, energy_uj=100, power_source="ppk2", backend="hardware", device="nano33-a")


@pytest.fixture
def run(tmp_path):
    return record_run(tmp_path / "results", VARIANTS[:3], SIMULATED)


def hil(*arguments):
    done = CliRunner().invoke(main, [str(argument) for argument in arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def bare(text):
    """Return the lines that name an energy in uJ, or call it a metric, without saying where it is from."""
    named = [line for line in text.splitlines() if re.search(r"energy(, uJ|,? µJ|: )", line)]
    return [line for line in named if "simulated" not in line.lower()]


def test_a_comparison_says_so(run):
    shown = hil("compare", run)
    assert "simulated energy, uJ" in shown
    assert bare(shown) == []
    rows = json.loads(hil("compare", run, "--json"))["rows"]
    energy = [row for row in rows if row["metric"] == "energy"]
    assert len(energy) == 2
    assert {row["source"] for row in energy} == {"simulated"}
    assert all("of simulated energy" in row["reason"] for row in energy)
    assert {row["source"] for row in rows if row["metric"] != "energy"} == {None}


@pytest.mark.slow
def test_a_report_and_its_summary_say_so(run):
    assert bare(hil("report", run, "--markdown", "-", "--html", run / "page.html")) == []
    page = (run / "page.html").read_text(encoding="utf-8")
    titles = re.findall(r"<th[^>]*>[^<]*energy[^<]*", page)
    assert titles
    assert all("simulated" in title for title in titles)


def test_what_a_monitor_measured_names_it(tmp_path):
    shown = hil("compare", record_run(tmp_path, VARIANTS[:2], MEASURED))
    assert "energy (ppk2), uJ" in shown
    assert "simulated" not in shown


def test_limits_and_gates_say_so(tmp_path, run):
    row = {"energy_uj": 5.0, "power_source": "simulated", "backend": "virtual", "counter": "instructions"}
    assert check_limits({"energy_uj": Limit(max=4)}, row).exceeded[0].endswith("(energy: simulated)")
    limits = parse_limits("energy>1%")
    other = record_run(tmp_path / "other", VARIANTS[:3], SIMULATED)
    found = compare_runs(load_results(run), load_results(other), make_policy(limits, None))
    assert all("simulated" in line for line in render_gate(check_gate(found, limits))[:-1])


def test_a_history_is_of_one_source(tmp_path):
    more = {variant.name: 1.5 for variant in VARIANTS}
    record_history(tmp_path, [{}] * 4, MEASURED, VARIANTS[:2])
    record_history(tmp_path, [more] * 4, replace(MEASURED, power_source="lpm01a"), VARIANTS[:2])
    results = load_results(tmp_path)
    energy = [line for line in history(results) if line.metric == "energy"]
    assert {(line.source, len(line.points)) for line in energy} == {("ppk2", 4), ("lpm01a", 4)}
    assert not any(line.shifts for line in energy)
    newest = record_run(tmp_path / "new", VARIANTS[:2], MEASURED)
    rows = [row for row in compare_history(results, load_results(newest))[0].rows if row.metric == "energy"]
    assert {row.source for row in rows} == {"ppk2"}
    assert {row.change for row in rows} == {1.0}


def test_a_step_of_simulated_energy_is_called_so(tmp_path):
    record_history(tmp_path, [{}] * 5 + [{"int8": 1.5}] * 5, SIMULATED, VARIANTS[1:2])
    (line,) = (one for one in history(load_results(tmp_path)) if (one.metric, one.variant) == ("energy", "int8"))
    assert [shift.reason.partition(" in run")[0] for shift in line.shifts] == [
        "worse: a step of +50.00 % in simulated energy"
    ]


def test_names():
    assert energy_name(["simulated", "simulated"]) == "simulated energy"
    assert energy_name(["ppk2", "lpm01a", "ppk2"]) == "energy (lpm01a, ppk2)"
    assert energy_name([None]) == "energy (unknown source)"
