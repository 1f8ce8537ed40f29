from __future__ import annotations

import json
from dataclasses import replace

import pytest
from click.testing import CliRunner

from fakes.made_cases import pooled, write_run
from fakes.recorded_runs import VARIANTS as MADE
from fakes.recorded_runs import Setting, about, record_case
from harness.cli import main
from harness.errors import ConfigError
from harness.report.content import compose
from harness.report.gate import parse_margins
from harness.report.page import escaped
from harness.store import Run, load_results


@pytest.fixture
def hil(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture
def run(tmp_path):
    return lambda **about: write_run(tmp_path / "results", **about)


VARIANTS = ({"variant": "float32"}, {"variant": "int8", "baseline": "float32"})
EMULATED = ({"backend": "virtual"},)


def test_variants_of_the_latest_run(hil, run):
    run(cases=VARIANTS)
    result = hil("compare")
    assert result.exit_code == 0
    assert "each variant against the baseline" in result.output
    assert "int8 vs float32" in result.output


def test_two_runs_by_name(hil, run):
    a, b = run(cases=EMULATED), run(cases=EMULATED, ticks=[1100] * 30)
    result = hil("compare", a.name, b.name)
    assert result.exit_code == 0
    assert f"{b.name} against {a.name}" in result.output
    assert "+10.00 %" in result.output


@pytest.mark.parametrize(
    ("ticks", "limits", "code"),
    [(1000, "ticks>2%,flash>0", 0), (1021, "ticks>2%", 1), (1000, "latency>2%", 6), (1021, "latency>2%,ticks>1%", 1)],
)
def test_exit_codes_of_the_gate(hil, run, ticks, limits, code):
    run(cases=EMULATED)
    run(cases=EMULATED, ticks=[ticks] * 30)
    result = hil("compare", "--baseline", "latest", "--fail-on", limits)
    assert result.exit_code == code
    word = {0: "ok", 1: "regression", 6: "can't tell"}[code]
    assert f"Gate: {word};" in result.output


def test_no_data_is_5(hil, run):
    run()
    assert hil("compare").exit_code == 5  # one variant without a baseline
    for arguments in (["--baseline", "main"], ["--baseline", "latest"], ["nowhere"]):
        result = hil("compare", *arguments, "--fail-on", "flash>0")
        assert result.exit_code == 5
        assert result.output.startswith("hil: no data: ")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--fail-on", "latency<2%"], "would fail when latency gets better"),
        (["--margin", "ticks=2"], "is no least difference"),
        (["a", "b", "c"], "two runs at most"),
        (["latest", "latest"], "are the same run"),
        (["--device", "nano33", "--device", "nano33"], "--device is given once, or twice"),
        (["--axis", "speed"], '"speed" is no axis'),
        (["--tolerance", "-1%"], '"-1%" is no tolerance'),
        (["--budget", "ram<=3parsec"], "write ram<=3 with one of b, k"),
    ],
)
def test_mistakes_are_usage_errors(hil, run, arguments, words):
    run()
    result = hil("compare", *arguments)
    assert result.exit_code == 2
    assert words in result.output


def test_a_baseline_and_two_runs_are_one_too_many(hil, run):
    a, b = run(), run()
    assert "give only the run" in hil("compare", a.name, b.name, "--baseline", "latest").output


def test_a_tagged_baseline(hil, run):
    first = run(cases=EMULATED)
    assert "main is" in hil("results", "tag", first.name, "main").output
    run(cases=EMULATED, ticks=[900] * 30)
    result = hil("compare", "--baseline", "main")
    assert f"against main: {first.name}" in result.output
    assert "-10.00 %" in result.output


def test_two_boards_of_a_run(hil, run):
    run(cases=({"device": "a"}, {"device": "b"}))
    assert "digits on b against a" in hil("compare", "--device", "a", "--device", "b").output


def test_history_names_the_step(hil, run):
    for night in range(1, 9):
        run(cases=EMULATED, when=f"2026-01-0{night}T01:00", ticks=[1000 if night < 6 else 1100] * 30)
    result = hil("compare", "--baseline", "history:7", "--fail-on", "ticks>2%")
    assert result.exit_code == 1
    assert "worse: a step of +10.00 % in ticks" in result.output


def test_a_slow_drift_fails_although_no_night_is_much_worse(hil, run):
    for night in range(1, 13):
        run(cases=EMULATED, when=f"2026-01-{night:02}T01:00", ticks=[100_000 + 300 * night] * 30)
    result = hil("compare", "--baseline", "history:11", "--fail-on", "ticks>3%")
    assert result.exit_code == 1
    assert "a slow drift of +3.2" in result.output


def test_json(hil, run):
    run(cases=VARIANTS)
    content = json.loads(hil("compare", "--json", "--fail-on", "flash>0").output)
    assert content["kind"] == "variants"
    assert {row["b_variant"] for row in content["rows"]} == {"int8"}
    assert content["gate"]["outcome"] == "ok"


@pytest.mark.slow
def test_the_terminal_json_and_markdown_give_one_answer_and_the_page_the_same_numbers_of_inputs(hil, tmp_path):
    setting = Setting(samples=300)
    with Run.create(tmp_path / "results", about(setting)) as run:
        for suite in ("a", "b"):
            for made in MADE[:5]:
                record_case(run, made, replace(setting, suite=suite))
    asked = ("--tolerance", "4%", "--budget", "flash<=40k")
    content = json.loads(hil("compare", "--json", *asked).output)
    text = " ".join(hil("compare", *asked).output.split())
    page = hil("report", *asked, "--markdown", "-").output
    assert [picked["suite"] for picked in content["picks"]] == ["a", "b"]
    lines = [f"{picked['suite']} on {picked['place']}: {picked['sentence']}" for picked in content["picks"]]
    assert text.endswith(" ".join(lines))
    assert all(escaped(picked["sentence"]) in page for picked in content["picks"])
    # A verdict counts all rows of the run, wherever it is read.
    said = {row["reason"] for row in content["rows"] if row["samples_needed"]}
    sections = compose(load_results(run.path)).sections
    shown = {
        cell.title.partition("; of ")[0] for one in sections for row in one.verdicts.rows for cell in row if cell.title
    }
    assert said
    assert said <= shown


def test_margins():
    assert parse_margins("ticks=0.5%, flash=512,accuracy=1%") == {"ticks": 0.005, "flash": 512, "accuracy": 0.01}
    for text in ("ticks=1", "flash=1%", "speed=1%", "ticks"):
        with pytest.raises(ConfigError, match="is no least difference"):
            parse_margins(text)


POOL = tuple(
    pooled(number, variant, baseline=None if number == 1 else "float32")
    for number, variant in enumerate(("float32", "int8", "small"), 1)
)


def test_boards_of_a_pool_are_named_and_the_caveat_is_said_once(hil, run):
    run(cases=POOL)
    output = " ".join(hil("compare").output.split())
    assert "digits on nano33 (3 boards: bench-1, bench-2, bench-3), hardware backend" in output
    assert "Measured: int8 on bench-2 (float32 on bench-1), small on bench-3 (float32 on bench-1)." in output
    assert output.count("differences between units (clock source, supply, chip corner) are in the comparison") == 1
    assert "Measured on 3 units of the board" in output


def test_one_device_selects_what_it_measured_and_a_pool_what_its_boards_did(hil, run):
    run(cases=(*POOL, pooled(3, "int9", baseline="small"), {"device": "desk"}))
    output = hil("compare", "--device", "bench-3").output
    assert "int9 vs small" in output
    assert "int8" not in output
    assert "int8 vs float32" in hil("compare", "--device", "nano33").output
    result = hil("compare", "--device", "bench-9")
    assert result.exit_code == 5
    assert "nothing was measured on bench-9 in these runs; there are bench-1, bench-2, bench-3, desk" in result.output


def test_a_device_selects_on_both_sides_of_a_baseline(hil, run):
    run(cases=POOL)
    run(cases=POOL)
    output = hil("compare", "--baseline", "latest", "--device", "bench-2").output
    assert "int8" in output
    assert "small" not in output


def test_a_gate_sees_the_same_case_on_another_board(hil, run):
    run(cases=(pooled(1, backend="virtual"),))
    run(cases=(pooled(3, backend="virtual"),), ticks=[1100] * 30)
    result = hil("compare", "--baseline", "latest", "--fail-on", "ticks>2%")
    assert result.exit_code == 1
    assert "REGRESSION: ticks>2%: digits/int8 on nano33: worse: +10.00 %" in result.output


def test_a_gate_does_not_blame_an_image_for_its_board(hil, run):
    run(cases=(pooled(1, image_sha256="i"),))
    run(cases=(pooled(2, image_sha256="i"),), ticks=[1100] * 30)
    result = hil("compare", "--baseline", "latest", "--fail-on", "latency>2%")
    assert result.exit_code == 6
    assert "within the spread between units" in " ".join(result.output.split())


def test_boards_that_disagree_are_shouted_about(hil, run):
    cases = [pooled(number, backend="virtual", image_sha256="i", ticks=[1000 + number] * 30) for number in (1, 2)]
    run(cases=cases)
    assert "BOARDS DISAGREE: digits/int8: the same image gave other instructions" in hil("compare").output
