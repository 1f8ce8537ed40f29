"""The plugin as a user meets it: the real virtual board, the shipped images, real pytest runs."""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import fakes.inner_runs  # noqa: F401 (what the inner runs need)
from harness.store import load_results, recover

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parents[2]

SUITE = """\
task: fashion_mnist
inputs: {file: test.npz, array: images, scale: 0.00392156862745098}
labels: {file: test.npz, array: labels}
classes: [T-shirt/top, Trouser, Pullover, Dress, Coat, Sandal, Shirt, Sneaker, Bag, Ankle boot]
images: images
variants:
  float32:
    image: fashion_mnist_float32
    technique: float32 baseline
  int8:
    image: fashion_mnist_int8
    technique: int8 post-training quantization
    baseline: float32
"""
DEVICES = "devices:\n  a: {kind: nano33, tags: [pair]}\n  b: {kind: nano33, tags: [pair]}\n"


@pytest.fixture
def lab(pytester, monkeypatch):
    """A user's folder with one suite, its data and the shipped images; returns how to change the suite."""
    # On a busy computer, lines of progress would come between the dots.
    monkeypatch.setattr("harness.pytest_plugin.progress._LINE_SECONDS", math.inf)
    monkeypatch.setenv("PYTEST_ADDOPTS", "-p no:cacheprovider -p no:hypothesispytest")
    suites = pytester.mkdir("suites")
    shutil.copytree(ROOT / "firmware" / "prebuilt" / "nano33", suites / "images" / "nano33")
    shutil.copy(ROOT / "suites" / "data" / "fashion_mnist_test1000.npz", suites / "test.npz")

    def change(old="", new=""):
        assert old in SUITE
        (suites / "fashion_mnist.yaml").write_text(SUITE.replace(old, new, 1))

    change()
    return change


def results(pytester):
    return load_results(pytester.path / "results" / "latest")


def test_nothing_slow_is_imported_in_every_pytest_run():
    code = "import sys, harness.pytest_plugin.hooks; print(*sorted({m.split('.')[0] for m in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    slow = {"numpy", "pandas", "pyarrow", "pydantic", "pyocd", "rich", "serial", "unicorn", "yaml", "elftools"}
    assert not slow & set(done.stdout.split())


# ---- what is asked for


@pytest.mark.usefixtures("lab")
def test_suites_without_a_device_are_mentioned(pytester):
    result = pytester.runpytest("suites")
    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    result.stdout.fnmatch_lines(["suites/fashion_mnist.yaml was not run: say which board, for example --device nano33"])


@pytest.mark.usefixtures("lab")
@pytest.mark.parametrize("named", ["suites/fashion_mnist.yaml", "suites/fashion_mnist.yaml::int8"])
def test_a_named_suite_without_a_device_is_a_usage_error(pytester, named):
    result = pytester.runpytest(named)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {named.replace('::', '::')}: say which board: --device nano33", "*nano33*"])


@pytest.mark.usefixtures("lab")
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--device", "nano"], '*no device, kind or tag is called "nano"; did you mean "nano33"?'),
        (["--device", "nano33", "--backend", "hardware"], "*nano33: *hil devices*--backend virtual*"),
        (["--device", "nano33", "--backend", "renode"], "*Renode*"),
        (["--device", "nano33", "--backend", "real"], "*invalid choice: 'real'*"),
        (["--device", "nano33", "--samples", "0"], "*--samples: must be a whole number of at least 1, not '0'"),
        (["--device", "nano33", "--samples", "many"], "*--samples: must be a whole number of at least 1, not 'many'"),
        (["--device", "nano33", "--hil-retries", "-1"], "*--hil-retries: must be a whole number of at least 0*"),
        (["--device", "nano33", "--lab", "none.yaml"], "*none.yaml: there is no such file"),
    ],
)
def test_what_cannot_be_had_is_a_usage_error(pytester, arguments, words):
    result = pytester.runpytest("suites", *arguments)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([words])
    assert "Traceback" not in result.stderr.str() + result.stdout.str()


@pytest.mark.usefixtures("lab")
def test_a_mistake_in_devices_yaml_names_the_line(pytester):
    pytester.path.joinpath("devices.yaml").write_text("devices:\n  a:\n    knid: nano33\n")
    result = pytester.runpytest("suites", "--device", "a")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(['*devices.yaml:3: devices.a.knid: unknown key; did you mean "kind"?'])


# ---- collection


def collected(pytester, *arguments):
    result = pytester.runpytest("--collect-only", "-q", *arguments)
    return [line for line in result.stdout.lines if "::" in line]


def test_runs_are_not_written_to_a_url(pytester):
    result = pytester.runpytest("--device", "nano33", "--results-dir", "s3://bucket/hil")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*must be a folder, not 's3://bucket/hil'; `farm: {store: URL}` publishes*"])


@pytest.mark.usefixtures("lab")
def test_one_item_per_variant(pytester):
    pytester.path.joinpath("suites", "workflow.yaml").write_text("task: deploy\nsteps: []\n")
    names = ["suites/fashion_mnist.yaml::float32", "suites/fashion_mnist.yaml::int8"]
    assert collected(pytester, "suites", "--device", "nano33") == names
    assert collected(pytester, "suites", "--device", "nano33", "-k", "int8") == names[1:]
    assert collected(pytester, names[1], "--device", "nano33") == names[1:]
    assert not (pytester.path / "results").exists()


@pytest.mark.usefixtures("lab")
def test_items_of_one_device_stay_together(pytester):
    pytester.path.joinpath("devices.yaml").write_text(DEVICES)
    shutil.copy("suites/fashion_mnist.yaml", "suites/second.yaml")
    names = collected(pytester, "suites", "--device", "pair", "--each")
    assert [name.split("::")[1] for name in names] == ["float32[a]", "int8[a]"] * 2 + ["float32[b]", "int8[b]"] * 2


def test_a_mistake_in_a_suite_is_a_message(pytester, lab):
    lab("baseline: float32", "basline: float32")
    result = pytester.runpytest("suites", "--device", "nano33")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(
        ['suites/fashion_mnist.yaml:13: variants.int8.basline: unknown key; did you mean "baseline"?']
    )
    assert "Traceback" not in result.stdout.str()


@pytest.mark.usefixtures("lab")
def test_an_unknown_variant_is_a_message(pytester):
    result = pytester.runpytest("suites/fashion_mnist.yaml::int9", "--device", "nano33", "--backend", "virtual")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stdout.fnmatch_lines(['*no variant is called "int9"; did you mean "int8"*'])


def test_a_named_file_that_is_no_suite_is_a_message(pytester):
    pytester.path.joinpath("other.yaml").write_text("tasks: []\n")
    result = pytester.runpytest("other.yaml", "--device", "nano33")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(['other.yaml:1: tasks: unknown key; did you mean "task"?'])


# ---- runs


@pytest.mark.usefixtures("lab")
def test_a_run_from_start_to_end(pytester, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    result = pytester.runpytest("suites", "--device", "nano33", "--backend", "virtual", "--samples", "4")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(
        [
            "hil: nano33 on virtual: emulated Cortex-M4, counts instructions; not latency",
            "suites/fashion_mnist.yaml ..*",
            "fashion_mnist on nano33, virtual backend, emulated",
            "float32 *float32 baseline * 4 *%*",
            "int8 *int8 post-training quantization * 4 *%*",
            "instructions per inference",
            "variant *median *p95 *min *max *vs float32",
            "int8 *x",
            "Emulated: no board was used.*",
            "Results: results/*Z-*",
            "fashion_mnist on nano33, virtual backend, emulated: Can't tell yet which to ship: *",
        ]
    )
    loaded = results(pytester)
    assert loaded.cases.status.tolist() == ["complete"] * 2
    assert loaded.cases.latency_us_median.isna().all()
    assert loaded.cases.ram_peak_bytes.notna().all()
    assert loaded.samples.groupby("variant").size().to_dict() == {"float32": 4, "int8": 4}


RUN = ("suites", "--device", "nano33", "--backend", "virtual", "--samples", "1", "-k", "int8")


@pytest.mark.usefixtures("lab")
def test_a_run_is_held_against_its_baseline(pytester):
    gate = ("--hil-baseline", "latest", "--hil-fail-on", "ticks>0%,flash>0")
    result = pytester.runpytest(*RUN, *gate)
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["Not compared with latest: *holds no earlier run to compare with"])
    result = pytester.runpytest(*RUN, *gate)
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["*= baseline =*", "*instructions * exact * equal*", "Gate: ok; 2 of 2 checks passed."])


@pytest.mark.slow
@pytest.mark.usefixtures("lab")
def test_a_run_that_is_worse_than_its_baseline_fails(pytester):
    assert pytester.runpytest(*RUN).ret == pytest.ExitCode.OK
    images = pytester.path / "suites" / "images" / "nano33"
    shutil.copy(images / "fashion_mnist_float32.elf", images / "fashion_mnist_int8.elf")
    result = pytester.runpytest(*RUN, "--hil-baseline", "latest", "--hil-fail-on", "flash>0")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(passed=1, deselected=1)
    result.stdout.fnmatch_lines(
        [
            "REGRESSION: flash>0: fashion_mnist/int8 on nano33: worse: +* bytes",
            "The run fails: it is worse than latest.",
        ]
    )
    result = pytester.runpytest(*RUN, "--hil-baseline", "latest", "--hil-fail-on", "latency>1%")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["CAN'T TELL: latency>1%: *", "The run doesn't fail for what can't be told*"])


@pytest.mark.usefixtures("lab")
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--hil-fail-on", "flash>0"), "*needs --hil-baseline: worse than what?"),
        (("--hil-baseline", "main"), "*--hil-baseline main: no baseline 'main'*"),
        (("--hil-baseline", "latest", "--hil-fail-on", "flash<0"), "*would fail when flash gets better*"),
        (("--hil-axis", "speed"), '*"speed" is no axis*'),
        (("--hil-tolerance", "-1"), '*"-1" is no tolerance*'),
        (("--hil-budget", "ram>=3k"), "*would refuse the better variants; write ram<=3k*"),
    ],
)
def test_a_mistake_in_what_is_asked_of_a_run_shows_before_the_run(pytester, arguments, words):
    result = pytester.runpytest(*RUN, *arguments)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([words])
    assert not (pytester.path / "results").exists()


@pytest.mark.slow
@pytest.mark.usefixtures("lab")
def test_two_devices_are_two_cases_each(pytester):
    pytester.path.joinpath("devices.yaml").write_text(DEVICES)
    arguments = ("--device", "a", "--device", "b", "--backend", "virtual", "--samples", "2", "-k", "int8", "-v")
    result = pytester.runpytest("suites", "--each", *arguments)
    result.assert_outcomes(passed=2, deselected=2)
    result.stdout.fnmatch_lines(["suites/fashion_mnist.yaml::int8[[]a] PASSED*", "*::int8[[]b] PASSED*"])
    assert results(pytester).cases.device.tolist() == ["a", "b"]


@pytest.mark.slow
@pytest.mark.usefixtures("lab")
def test_the_board_fixture_is_an_open_board(pytester):
    pytester.makepyfile(
        test_mine="""
        from pathlib import Path
        from harness.image.elf import load_image
        from harness.link.client import Link
        from harness.boards.start_image import start_image

        def test_echo(board):
            image = load_image(Path("suites/images/nano33/fashion_mnist_int8.elf"), board.kind)
            link = Link(board.link(), board.name)
            assert start_image(board, image, link).build_id == image.build_id
            assert link.echo(b"hello") == b"hello"

        def test_the_same_board_again(board):
            assert board.read_memory(0x10000, 4) != b"\\xff\\xff\\xff\\xff"
        """
    )
    pytester.runpytest("--device", "nano33", "--backend", "virtual", "-k", "mine").assert_outcomes(
        passed=2, deselected=2
    )
    pytester.path.joinpath("devices.yaml").write_text(DEVICES)
    result = pytester.runpytest("test_mine.py", "--device", "pair", "--each", "--backend", "virtual", "-v")
    result.assert_outcomes(passed=4)
    result.stdout.fnmatch_lines(["test_mine.py::test_echo[[]a] PASSED*", "test_mine.py::test_echo[[]b] PASSED*"])


def test_the_board_fixture_without_a_device_is_skipped_with_the_reason(pytester):
    pytester.makepyfile("def test_it(board): pass")
    result = pytester.runpytest("-rs")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["SKIPPED*needs a board: say which, for example --device nano33"])


@pytest.mark.slow
def test_limits(pytester, lab):
    lab(
        "variants:",
        "limits:\n  flash_bytes: {max: 10}\n  latency_us_median: {max: 5}\n"
        "  ticks_median: {max: 5, counter: cycles}\nvariants:",
    )
    result = pytester.runpytest("suites", "--device", "nano33", "--backend", "virtual", "--samples", "2", "-k", "int8")
    result.assert_outcomes(failed=1, deselected=1)
    result.stdout.fnmatch_lines(
        [
            "flash_bytes is * bytes, over the limit of 10",
            "Not checked for int8: limit on latency_us_median: not measured on virtual",
            "Not checked for int8: limit on ticks_median is in cycles, but virtual counts instructions",
        ]
    )
    assert results(pytester).cases.status.tolist() == ["complete"]


# ---- failures


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("fashion_mnist_int8", "fashion_mnist_int9", '*there is no image *int9.elf*did you mean "fashion_mnist_int8"?'),
        ("array: labels", "array: label", '*has no array "label"; did you mean "labels"?'),
        ("file: test.npz", "file: none.npz", "*none.npz: there is no such file"),
    ],
)
def test_a_failed_case_is_a_message_and_a_row(pytester, lab, old, new, words):
    lab(old, new)
    arguments = ("suites", "--device", "nano33", "--backend", "virtual", "--samples", "2", "-k", "int8")
    result = pytester.runpytest(*arguments)
    result.assert_outcomes(failed=1, deselected=1)
    result.stdout.fnmatch_lines([words, "int8 failed: *"])
    assert "Traceback" not in result.stdout.str()
    assert "harness/run/session.py" not in result.stdout.str()
    case = results(pytester).cases.iloc[0]
    assert case.status == "failed"
    assert case.samples == 0


def test_v_shows_the_traceback(pytester, lab):
    lab("array: labels", "array: label")
    result = pytester.runpytest("-v", "suites", "--device", "nano33", "--backend", "virtual", "-k", "int8")
    assert "harness/run/session.py" in result.stdout.str()


@pytest.mark.slow
def test_more_samples_than_there_are(pytester, lab):
    lab("task: ", "first: 3\ntask: ")
    result = pytester.runpytest(
        "suites", "--device", "nano33", "--backend", "virtual", "--samples", "100", "-k", "int8"
    )
    assert result.ret == 0
    result.stdout.fnmatch_lines(["100 inputs were asked for; the suite has 3, and all of them were used."])
    assert results(pytester).samples["sample"].tolist() == [0, 1, 2]


@pytest.mark.usefixtures("lab")
def test_a_results_folder_that_cannot_be_written_ends_the_run(pytester):
    pytester.path.joinpath("taken").touch()
    result = pytester.runpytest("suites", "--device", "nano33", "--backend", "virtual", "--results-dir", "taken")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*the results folder can't be written: taken: *"])


@pytest.mark.usefixtures("lab")
@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="limits of a process are POSIX")
def test_a_full_disk_ends_the_run_and_loses_nothing(pytester, monkeypatch):
    # The limit on file size makes the kernel refuse the write half way, as a full disk does; run.json, which names
    # every kind of board, is smaller. Of a module that is first imported under it, Python would leave a compiled file
    # that is cut off, and that nobody could import any more.
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    pytester.makeconftest(
        "import resource\n"
        "def pytest_runtest_setup(): resource.setrlimit(resource.RLIMIT_FSIZE, (20000, resource.RLIM_INFINITY))\n"
    )
    result = pytester.runpytest_subprocess("suites", "--device", "nano33", "--backend", "virtual", "--samples", "200")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert "the results folder can't be written" in result.stdout.str() + result.stderr.str()
    assert "INTERNALERROR" not in result.stdout.str()
    run = (pytester.path / "results" / "latest").resolve()
    lines = (run / "journal.jsonl").read_text().count('"t":"sample"')
    assert lines > 10
    recover(run)
    assert len(load_results(run).samples) == lines


@pytest.mark.usefixtures("lab")
@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="sends POSIX signals")
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_an_interrupted_run_keeps_what_had_finished(pytester, name):
    command = [sys.executable, "-m", "pytest", "suites", "--device", "nano33", "--backend", "virtual"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        _wait_for_samples(pytester.path / "results", process)
        process.send_signal(getattr(signal, name))
        output, _ = process.communicate(timeout=120)
    assert process.returncode == pytest.ExitCode.INTERRUPTED, output
    assert "The run was interrupted. The boards are released" in output
    loaded = results(pytester)
    assert loaded.cases.status.tolist() == ["failed"]
    assert "interrupted" in loaded.cases.reason[0]
    assert loaded.cases.samples[0] == len(loaded.samples) > 0
    assert loaded.cases.accuracy.isna().all()


@pytest.mark.usefixtures("lab")
@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="sends POSIX signals")
def test_a_signal_that_comes_while_the_tables_are_written_loses_none(pytester):
    pytester.makeconftest(
        "import os, signal\n"
        "from harness.store import runs\n"
        "write = runs.write_tables\n"
        "def write_late(*arguments):\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    return write(*arguments)\n"
        "runs.write_tables = write_late\n"
    )
    result = pytester.runpytest_subprocess(*RUN)
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(["int8 *", "The run was interrupted. *"])
    assert "Traceback" not in result.stdout.str() + result.stderr.str()
    assert results(pytester).cases.status.tolist() == ["complete"]


def _wait_for_samples(folder, process):
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        if any('"t":"sample"' in path.read_text() for path in folder.glob("*Z-*/journal.jsonl")):
            return
        time.sleep(0.05)
    process.kill()
    raise AssertionError(process.communicate()[0])


def test_what_a_report_carries_can_be_sent_to_another_process(pytester, lab):
    lab("fashion_mnist_int8", "missing")
    recorder = pytester.inline_run("suites", "--device", "nano33", "--backend", "virtual", "-k", "int8")
    (report,) = [found for found in recorder.getreports("pytest_runtest_logreport") if found.when == "call"]
    assert json.loads(json.dumps(report.hil))["row"]["status"] == "failed"
