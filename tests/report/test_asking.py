"""Results that are asked: the recipes of docs/results.md as they stand there, and what they leave out."""

from __future__ import annotations

import doctest
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import harness
from fakes.made_cases import write_run
from harness.errors import HilError

ROOT = Path(__file__).parents[2]
CORRECT = {"float32": 9, "int8": 9, "pruned": 8, "tiny": 7}


def night(folder, day, **ticks):
    """Write a run of the virtual board, so many days ago."""
    cases = [
        {
            "variant": name,
            "backend": "virtual",
            "counter": "instructions",
            "accuracy": CORRECT[name] / 10,
            "ticks": [ticks.get(name, usual)] * 30,
        }
        for name, usual in {"float32": 3000, "int8": 1000, "pruned": 1500, "tiny": 400}.items()
    ]
    when = datetime.now(UTC) - timedelta(days=day)
    return write_run(folder / "results", cases=cases, when=f"{when:%Y-%m-%dT%H:%M:%S}")


@pytest.fixture(scope="module")
def six_nights(tmp_path_factory):
    """Return a folder with runs, in which a variant became slower in the fourth; no test changes it."""
    folder = tmp_path_factory.mktemp("nights")
    for day in (6, 5, 4, 3, 2, 1):
        last = night(folder, day, int8=1200 if day < 4 else 1000)
    return folder, last


@pytest.fixture
def nights(six_nights, monkeypatch):
    monkeypatch.chdir(six_nights[0])
    return six_nights[1]


@pytest.mark.usefixtures("nights")
def test_the_recipes_of_the_documentation_are_true():
    failed, tried = doctest.testfile(str(ROOT / "docs/results.md"), module_relative=False, encoding="utf-8")
    assert tried >= 8
    assert not failed


def test_the_newest_run_is_the_one_that_was_begun_last(nights):
    assert harness.load_results("results").latest().runs["run"].tolist() == [nights.name]
    with pytest.raises(HilError, match="no runs among these"):
        harness.load_results("results", until="30d").latest()


def test_boards_and_sources_of_energy_have_fronts_of_their_own(tmp_path):
    virtual = {"backend": "virtual", "counter": "instructions"}
    dear = {"counter": "cycles", "energy_uj": 2.0, "power_source": "ppk2"}
    cheap = {"variant": "tiny", "ticks": [8] * 30, **dear, "energy_uj": 1.0}
    write_run(tmp_path, cases=[dear, cheap | {"power_source": "lpm01a"}, virtual, virtual | {"variant": "tiny"}])
    results = harness.load_results(tmp_path)
    ticks = results.front("accuracy", "ticks")
    assert [(row.backend, row.variant) for row in ticks.itertuples()] == [
        ("hardware", "tiny"),
        ("virtual", "int8"),
        ("virtual", "tiny"),
    ]
    energy = results.front("accuracy", "energy")
    assert sorted(energy["variant"]) == ["int8", "tiny"]  # neither is held against the other
    assert results.front("latency", "energy")["latency"].tolist() == [8 / 64, 1000 / 64]


@pytest.mark.usefixtures("nights")
@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda r: r.front("accuracy"), "two metrics or more"),
        (lambda r: r.front("accuracy", "tics"), 'no metric is called "tics"; did you mean "ticks"'),
        (lambda r: r.history("tinny", "ticks"), 'has the variant "tinny"; did you mean "tiny"'),
        (lambda r: r.history("tiny", "watts"), 'no metric is called "watts"'),
        (lambda _: harness.load_results("results", device=["nano33", "bench"]), 'has the device "bench"'),
        (lambda _: harness.load_results("results", backend="virtul"), 'has the backend "virtul"; did you mean'),
        (lambda _: harness.load_results("results", since="a while"), "or as 7d, 12h or 30m"),
    ],
)
def test_a_question_that_cannot_be_answered_says_why(ask, message):
    with pytest.raises(HilError, match=message):
        ask(harness.load_results("results"))


def test_ticks_of_hardware_have_a_history(tmp_path):
    write_run(tmp_path, cases=({"counter": "cycles"},))
    asked = harness.load_results(tmp_path).history("int8", "cycles")
    assert asked[["value", "unit"]].to_numpy().tolist() == [[1000.0, "cycles"]]


def test_a_notebook_shows_each_suite_and_board_and_nothing_that_runs(tmp_path):
    write_run(tmp_path, cases=({"variant": "<b>", "counter": "cycles"}, {"variant": "int8", "backend": "virtual"}))
    page = harness.load_results(tmp_path)._repr_html_()
    assert page.count("<table>") == 2
    assert "2 cases of 1 run<" in page
    assert "&lt;b&gt;" in page
    assert "<b>" not in page
    assert "1,000" in page
