"""What the commands print, as a terminal or a pipe gets it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from rich.console import Console

from harness.store import Run
from harness.text.table import cell, text_table
from harness.text.terminal import fit

KEYS = {"device": "nano33", "board": "nano33", "backend": "virtual", "suite": "digits"}
HOSTILE = "int8\x1b[2J\x1b]0;pwned\x07\u202e\nforged line"


def hil(folder, *arguments, encoding="utf-8", **options):
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    command = [sys.executable, "-m", "harness", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, check=False, timeout=120, **options)


def make_run(folder, technique="int8"):
    with Run.create(folder / "results", {}) as run:
        for variant, base in (("float32", None), ("int8", "float32")):
            case = run.begin_case(**KEYS, variant=variant, technique=technique, baseline=base)
            for sample in range(30):
                case.sample(sample=sample, label=0, prediction=0, ticks=1_826_448, output_crc=1)
            scores = {"accuracy": 1.0, "accuracy_low": 0.9, "accuracy_high": 1.0, "ticks_median": 1_826_448.0}
            case.finish(status="complete", **scores, ticks_min=1_826_448, ticks_max=1_826_448, ticks_p95=1_826_448)


def hil_each(folder, *commands, encoding="utf-8"):
    """Return what several commands wrote, which share a process: to start one takes a second."""
    code = f"""
import sys
from harness.cli import main
for command in {commands!r}:
    try:
        main(command)
    except SystemExit as error:
        print(end="", flush=True)
        sys.__stdout__.write(chr(0) + str(error.code or 0) + chr(0))
        sys.__stdout__.flush()
"""
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "timeout": 120}
    said = subprocess.run([sys.executable, "-c", code], check=True, cwd=folder, env=environment, **options).stdout
    *parts, rest = said.split(b"\0")
    assert (len(parts), rest) == (2 * len(commands), b"")
    return [(text, int(code)) for text, code in zip(parts[::2], parts[1::2], strict=True)]


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["cp1252", "ascii"])
def test_a_stream_that_is_not_unicode_gets_ascii_lines(tmp_path, encoding):
    make_run(tmp_path)
    for said, code in hil_each(tmp_path, ["compare"], ["results", "show"], encoding=encoding):
        assert code == 0, said
        assert b"------" in said
        assert said.isascii()


def test_nothing_that_a_board_or_file_says_controls_the_terminal(tmp_path):
    make_run(tmp_path, HOSTILE)
    (tmp_path / "devices.yaml").write_text('devices: {"a\\e[2J\\u202eb": {kind: nano33}}')
    tag = ["results", "tag", "latest", HOSTILE]
    commands = (["results", "show"], ["compare"], tag, ["devices"], ["-v", "devices"])
    for command, (said, _) in zip(commands, hil_each(tmp_path, *commands), strict=True):
        text = said.decode()
        assert text, command
        assert not {"\x1b", "\x07", "\u202e", "\r"} & set(text), command
        assert "\nforged line" not in text or command == tag


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a disk that is always full")  # noqa: PTH110
@pytest.mark.parametrize("command", [["compare"], ["results", "export", "--csv"], ["devices"]])
def test_output_that_cannot_be_written_is_no_regression(tmp_path, command):
    make_run(tmp_path)
    with open("/dev/full", "wb") as full:  # noqa: PTH123
        done = hil(tmp_path, *command, stdout=full)
    assert done.returncode == 3
    assert done.stderr == b"hil: the output can't be written: No space left on device\n"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGPIPE")
def test_a_reader_that_leaves_is_no_error(tmp_path):
    make_run(tmp_path)
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as nobody:
        done = hil(tmp_path, "compare", stdout=nobody)
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.slow
def test_an_internal_error_ends_with_a_number_of_its_own(tmp_path):
    make_run(tmp_path)
    code = "import harness.report.text as t; t._place = None; from harness.cli import main; main(['compare'])"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert "hil: internal error: TypeError: " in done.stderr


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_no_number_and_no_name_is_broken(width):
    row = ("student_distilled_int8 vs int8", "instructions", "1,826,448", "-56.15 to +56.15", "can't tell: 1,569 more")
    headings, right = ("variant", "metric", "value", "interval", "verdict"), {"value", "interval"}
    console = Console(width=width, color_system=None)
    with console.capture() as capture:
        console.print(text_table(headings, [[cell(text) for text in row]], width=width, right=right))
    text = capture.get()
    assert max(map(len, text.splitlines())) <= width
    for whole in ("student_distilled_int8", "instructions", "1,826,448", "-56.15 to +56.15", "1,569"):
        assert whole in text


def test_text_is_fitted_to_what_the_stream_can_hold():
    assert fit("a \u2500\u2588 \u00b5 \u00d7 \u4e2d", "ascii") == "a -# u x \\u4e2d"
    assert fit("\u2500 \u00b5", "latin-1") == "- \u00b5"
    assert fit("\u2500", None) == "\u2500"
    assert fit("\udcff", "utf-8") == "\\udcff"
