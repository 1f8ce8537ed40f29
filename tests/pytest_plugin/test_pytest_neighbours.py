"""The plugin beside others: plugins that repeat, reorder and end tests, conftests with options of the same names."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner

import fakes.inner_runs  # noqa: F401 (what the inner runs need)
from harness.cli import main
from harness.store import load_results

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parents[2]
SUITE = """\
task: vowels
inputs: {file: test.npz, array: series, scale: 0.05}
labels: {file: test.npz, array: labels}
classes: [s1, s2, s3, s4, s5, s6, s7, s8, s9]
images: images
limits: {flash_bytes: {max: 40000}}
variants:
  float32: {image: japanese_vowels_float32, technique: none}
  int8: {image: japanese_vowels_int8, technique: int8, baseline: float32}
"""


@pytest.fixture
def project(pytester, monkeypatch):
    """A user's folder with one suite, of whose variants float32 is over a limit; returns how to run a program in it."""
    tmp_path = pytester.path
    (tmp_path / "images" / "nano33").mkdir(parents=True)
    for name in ("float32", "int8"):
        image = f"japanese_vowels_{name}.elf"
        shutil.copy(ROOT / "firmware" / "prebuilt" / "nano33" / image, tmp_path / "images" / "nano33" / image)
    shutil.copy(ROOT / "suites" / "data" / "japanese_vowels_test.npz", tmp_path / "test.npz")
    (tmp_path / "vowels.yaml").write_text(SUITE)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    monkeypatch.setenv("PYTHONIOENCODING", "utf-8")

    def run(*arguments, module="pytest", flags=()):
        command = [sys.executable, *flags, "-m", module, *map(str, arguments)]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, encoding="utf-8", check=False, timeout=120)

    def run_here(*arguments):
        done = pytester.runpytest_inprocess(*arguments)
        return subprocess.CompletedProcess(arguments, done.ret, done.stdout.str(), done.stderr.str())

    run.path, run.here = tmp_path, run_here
    return run


def measure(project, *arguments, device="--device", suite="vowels.yaml", samples="--samples"):
    return project(suite, device, "nano33", samples, "3", *arguments)


def hil(*arguments):
    """Run the `hil` command in this process, in the project's folder."""
    return CliRunner().invoke(main, arguments)


def cases(project):
    results = load_results(project.path / "results" / "latest")
    assert sorted(results.samples["case"].unique()) == sorted(results.cases["case"])
    assert (results.samples.groupby("case").size() == 3).all()
    return results.cases.set_index("variant")


@pytest.mark.slow
def test_a_limit_that_failed_the_case_is_said_by_every_door(project):
    done = measure(project.here, "--junitxml=pytest.xml")
    assert done.returncode == pytest.ExitCode.TESTS_FAILED, done.stdout + done.stderr
    rows = cases(project)
    assert rows["verdict"].to_dict() == {"float32": "failed", "int8": "passed"}
    reason = rows["verdict_reason"]["float32"]
    assert reason.startswith("flash_bytes is ")
    assert reason.endswith("over the limit of 40,000")

    junit = ET.fromstring(hil("results", "export", "--junit").stdout)  # noqa: S314 (we wrote it)
    assert [suite.get("failures") for suite in junit] == ["1"]
    assert [case.find("failure") is not None for case in junit.iter("testcase")] == [True, False]
    assert reason in hil("results", "show").stdout.replace("\n", " ")
    markdown = hil("report", "--markdown", "-", "--html", "page.html").stdout
    assert "float32: over a limit" in markdown
    assert reason in (project.path / "page.html").read_text(encoding="utf-8")
    exported = json.loads(hil("results", "export", "--json").stdout)
    assert [row["verdict"] for row in exported["cases"]] == ["failed", "passed"]

    own = ET.parse(project.path / "pytest.xml").getroot()  # noqa: S314 (pytest wrote it)
    for case in own.iter("testcase"):
        figures = {item.get("name"): item.get("value") for item in case.iter("property")}
        row = rows.loc[case.get("name")]
        assert figures["flash_bytes"] == str(row["flash_bytes"])
        assert float(figures["accuracy"]) == row["accuracy"]
        assert (figures["emulated"], figures["backend"], figures["counter"]) == ("True", "virtual", "instructions")


@pytest.mark.slow
@pytest.mark.parametrize("more", [(), pytest.param(("-n", "2"), marks=pytest.mark.slow)])
def test_of_a_case_that_is_run_again_the_last_attempt_counts(project, more):
    done = measure(project if more else project.here, "--reruns", "2", *more)
    assert done.returncode == pytest.ExitCode.TESTS_FAILED, done.stdout + done.stderr
    rows = cases(project)
    assert rows["attempts"].to_dict() == {"float32": 3, "int8": 1}
    assert hil("compare").stdout.count("int8 vs float32") == 1


@pytest.mark.parametrize("more", [("--count", "2"), ("-x",), ("--ff",), ("-p", "no:cacheprovider")])
@pytest.mark.slow
def test_other_orders_and_ends_leave_no_row_double(project, more):
    measure(project.here, *more)
    rows = cases(project)
    assert list(rows.index) == (["float32"] if more[0] == "-x" else ["float32", "int8"])


@pytest.mark.slow
def test_the_last_failed_are_run_alone(project):
    measure(project.here)
    assert measure(project.here, "--lf").returncode == pytest.ExitCode.TESTS_FAILED
    assert list(cases(project).index) == ["float32"]


@pytest.mark.slow
def test_the_board_of_a_case_that_takes_too_long_is_let_go(project):
    done = project("vowels.yaml", "--device", "nano33", "--timeout", "0.01")
    assert done.returncode == pytest.ExitCode.TESTS_FAILED
    assert "2 failed" in done.stdout
    assert "Timeout" in done.stdout
    assert hil("leases").stdout == "No board is held.\n"


@pytest.mark.slow
def test_no_warning_escapes_into_a_project_that_turns_them_into_errors(project):
    (project.path / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")
    done = measure(project, "-k", "int8")
    assert (done.returncode, done.stderr) == (0, "")
    for command in (("results", "show"), ("compare",), ("report",)):
        said = project(*command, module="harness", flags=("-W", "error", "-X", "dev"))
        assert "Warning" not in said.stderr
        assert said.returncode in (0, 5), said.stderr


CONFTEST = """\
def pytest_addoption(parser):
    parser.addoption("--device", default="theirs")
    parser.addoption("--samples", action="store_true", dest="backend")
"""


@pytest.mark.slow
def test_a_project_with_options_of_the_same_names_starts_and_keeps_them(project):
    (project.path / "conftest.py").write_text(CONFTEST)
    (project.path / "test_theirs.py").write_text(
        "def test_it(pytestconfig):\n"
        "    assert pytestconfig.getoption('--device') == 'mine' and pytestconfig.option.backend is True\n"
    )
    theirs = project("test_theirs.py", "--device", "mine", "--samples")
    assert theirs.returncode == 0, theirs.stdout + theirs.stderr
    unasked = project("vowels.yaml", "--device", "nano33")
    assert unasked.returncode == pytest.ExitCode.USAGE_ERROR
    assert "say which board: --hil-device nano33\n--device belongs to a conftest.py or another plugin" in unasked.stderr
    ours = measure(project, "-k", "int8", device="--hil-device", samples="--hil-samples")
    assert ours.returncode == 0, ours.stdout + ours.stderr
    assert "hil: --samples belongs to a conftest.py or another plugin here; the harness's own is --hil-samples" in (
        ours.stdout
    )


def test_values_of_options_are_not_taken_for_folders_with_a_conftest(project):
    (project.path / "pytest.ini").write_text("[pytest]\ntestpaths = tests\n")
    (project.path / "tests").mkdir()
    (project.path / "tests" / "conftest.py").write_text(CONFTEST.replace("--device", "--theirs"))
    (project.path / "tests" / "test_it.py").write_text("def test_it(pytestconfig):\n    pytestconfig.option.theirs\n")
    done = project.here("--device", "nano33", "--theirs", "x")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_tables_are_drawn_in_what_the_stream_can_hold(project, monkeypatch):
    monkeypatch.setenv("PYTHONIOENCODING", "cp1252")
    done = measure(project, "-k", "int8")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "\nvariant " in done.stdout
    assert "\n------" in done.stdout
    assert "\\u" not in done.stdout
