from __future__ import annotations

import pytest
from click.testing import CliRunner

from fakes.recorded_runs import VARIANTS, Setting, record_history, record_run
from harness.cli import main

FEW = Setting(samples=20)


def hil(*arguments):
    return CliRunner().invoke(main, ["report", *map(str, arguments)])


@pytest.fixture
def results(tmp_path):
    record_run(tmp_path / "results", VARIANTS[:2], FEW)
    return tmp_path / "results"


@pytest.mark.slow
def test_without_options_the_page_is_beside_the_latest_run(results):
    done = hil("--results-dir", results)
    (page,) = results.glob("2*/report.html")
    assert (done.exit_code, done.output) == (0, f"Report: {page}\n")
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_a_page_goes_into_a_folder_or_a_file(results, tmp_path):
    assert hil(results / "latest", "--html", tmp_path / "out").exit_code == 0
    assert hil(results / "latest", "--html", tmp_path / "deep" / "page.html").exit_code == 0
    assert (tmp_path / "out" / "index.html").read_bytes() == (tmp_path / "deep" / "page.html").read_bytes()


def test_markdown_on_standard_output_is_nothing_else(results, tmp_path):
    done = hil(results / "latest", "--markdown", "-", "--html", tmp_path)
    assert done.stdout.startswith("## fashion\\_mnist on nano33")
    assert "Report:" not in done.stdout
    assert "Report:" in done.stderr


def test_markdown_goes_into_a_file(results, tmp_path):
    done = hil(results / "latest", "--markdown", tmp_path / "summary.md")
    assert done.output == f"Summary: {tmp_path / 'summary.md'}\n"
    assert (tmp_path / "summary.md").read_text().startswith("## fashion")
    assert not list(results.glob("2*/report.html"))


@pytest.mark.slow
def test_a_folder_of_runs_is_a_history(results, tmp_path):
    record_history(results, [{}, {"int8": 1.02}], FEW, VARIANTS[:2])
    assert hil(results, "--html", tmp_path).exit_code == 0
    assert "History of instructions" in (tmp_path / "index.html").read_text()


def test_a_baseline_is_named_by_its_run(results):
    (before,) = results.glob("2*")
    record_history(results, [{"int8": 1.02}], FEW, VARIANTS[:2])
    done = hil("--results-dir", results, "--baseline", before.name, "--markdown", "-")
    assert done.exit_code == 0
    assert f"### Against {before.name}" in done.output
    assert "int8: instructions worse" in done.output


@pytest.mark.slow
def test_a_baseline_of_nights_is_drawn_as_history(results, tmp_path):
    record_history(results, [{"int8": 1.02}], FEW, VARIANTS[:2])
    done = hil("--results-dir", results, "--baseline", "history:5", "--html", tmp_path)
    assert done.exit_code == 0
    assert "History of instructions" in (tmp_path / "index.html").read_text()


def test_a_baseline_that_is_not_there_is_an_error(results):
    done = hil("--results-dir", results, "--baseline", "nope")
    assert done.exit_code == 1
    assert "no baseline 'nope'" in done.output


def test_a_damaged_run_is_left_out_loudly_and_the_rest_is_reported(results, tmp_path):
    broken = record_run(results, VARIANTS[:1], FEW)
    (broken / "cases.parquet").write_bytes(b"PAR1 not a table")
    done = hil(results, "--html", tmp_path)
    assert done.exit_code == 0
    assert f"left out: {broken}" in done.stderr
    assert "1 run left out" in (tmp_path / "index.html").read_text()


def test_a_run_that_is_not_there_is_an_error_that_says_what_to_do(tmp_path):
    done = hil(tmp_path / "nothing")
    assert done.exit_code == 1
    assert "there is no such run; `hil results` lists them" in done.output


def test_a_file_that_cannot_be_written_is_an_error(results, tmp_path):
    (tmp_path / "file").write_text("")
    done = hil(results / "latest", "--html", tmp_path / "file" / "page.html")
    assert done.exit_code == 1
    assert "can't be written" in done.output
