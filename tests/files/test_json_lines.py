"""Files of lines that many append to: nothing torn, nothing lost, damage costs one line."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time

import pytest

from harness.errors import StoreError
from harness.files.json_lines import append_line, read_lines, rewrite_lines


def _write(path, writer, count):
    for number in range(count):
        append_line(path, {"writer": writer, "number": number, "text": "x" * 300})


def _write_for_ever(path):
    _write(path, 0, 10**9)


def test_a_missing_file_has_no_lines(tmp_path):
    assert read_lines(tmp_path / "none.jsonl") == []


@pytest.mark.slow
def test_processes_append_while_another_rewrites(tmp_path):
    path = tmp_path / "a" / "events.jsonl"
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_write, args=(path, writer, 40)) for writer in range(3)]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        begun = time.monotonic()
        if path.exists():
            rewrite_lines(path, lambda lines: lines)
        time.sleep(0.01 + time.monotonic() - begun)  # on a slow disk, too, the writers get their turns
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0] * 3
    lines = read_lines(path)
    assert sorted((line["writer"], line["number"]) for line in lines) == [(w, n) for w in range(3) for n in range(40)]


def test_a_torn_line_costs_itself_and_not_the_next(tmp_path):
    path = tmp_path / "events.jsonl"
    append_line(path, {"n": 1})
    append_line(path, {"n": 2})
    path.write_bytes(path.read_bytes()[:-9])
    append_line(path, {"n": 3})
    assert [line["n"] for line in read_lines(path)] == [1, 3]


def test_a_killed_writer_leaves_the_lock_free(tmp_path):
    path = tmp_path / "events.jsonl"
    writer = multiprocessing.get_context("spawn").Process(target=_write_for_ever, args=(path,))
    writer.start()
    while not path.exists() or path.stat().st_size < 20_000:
        assert writer.is_alive()
        time.sleep(0.01)
    os.kill(writer.pid, signal.SIGKILL)
    writer.join()
    append_line(path, {"number": "last"})
    numbers = [line["number"] for line in read_lines(path)]
    assert numbers == [*range(len(numbers) - 1), "last"]


def test_rewriting_keeps_what_it_is_told_and_leaves_nothing_else(tmp_path):
    path = tmp_path / "events.jsonl"
    for number in range(5):
        append_line(path, {"n": number})
    rewrite_lines(path, lambda lines: lines[-2:])
    assert [line["n"] for line in read_lines(path)] == [3, 4]
    assert {found.name for found in tmp_path.iterdir()} <= {"events.jsonl", ".events.jsonl.lock"}


def test_what_cannot_be_written_names_file_and_remedy(tmp_path):
    (tmp_path / "events.jsonl").mkdir()
    with pytest.raises(StoreError, match=r"events\.jsonl can't be written: .*HIL_STATE"):
        append_line(tmp_path / "events.jsonl", {})
