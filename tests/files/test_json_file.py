"""Small JSON files that processes share."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from harness.files.json_file import create_json, make_folder, parse_json, read_json, write_json


def test_of_many_writers_one_creates_the_file_and_it_is_whole(tmp_path):
    path = tmp_path / "claim.json"
    with ThreadPoolExecutor(16) as pool:
        won = list(pool.map(lambda number: create_json(path, {"writer": number, "text": "x" * 10_000}), range(64)))
    assert won.count(True) == 1
    assert json.loads(path.read_text())["writer"] == won.index(True)
    assert [found.name for found in tmp_path.iterdir()] == ["claim.json"]


def test_writing_replaces_and_reading_damage_gives_nothing(tmp_path):
    path = tmp_path / "fact.json"
    assert read_json(path) is None
    write_json(path, {"a": 1})
    write_json(path, {"a": 2})
    assert read_json(path) == {"a": 2}
    path.write_text('{"a": ')
    assert read_json(path) is None
    path.write_text("[1]")
    assert read_json(path) is None


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
def test_what_cant_be_written_to_the_end_leaves_nothing_behind(tmp_path, monkeypatch, error):
    def cut_off(_file):
        raise error

    write_json(tmp_path / "fact.json", {"a": 1})
    monkeypatch.setattr(os, "fsync", cut_off)
    for write in (write_json, create_json):
        with pytest.raises(type(error)):
            write(tmp_path / "fact.json", {"a": 2})
    assert [found.name for found in tmp_path.iterdir()] == ["fact.json"]
    assert read_json(tmp_path / "fact.json") == {"a": 1}


def test_without_hard_links_one_writer_succeeds_as_well(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    with ThreadPoolExecutor(16) as pool:
        won = list(pool.map(lambda number: create_json(tmp_path / "claim.json", {"writer": number}), range(64)))
    assert won.count(True) == 1
    assert json.loads((tmp_path / "claim.json").read_text())["writer"] == won.index(True)


def test_a_pipe_keeps_no_reader_waiting(tmp_path):
    path = tmp_path / "fact.json"
    os.mkfifo(path)

    asked = threading.Event()

    def feed():  # whoever waits for it gets an object, in the end
        while not asked.wait(0.01):
            with contextlib.suppress(OSError):
                pipe = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
                with os.fdopen(pipe, "wb", buffering=0) as file:
                    file.write(b'{"a": 1}')

    thread = threading.Thread(target=feed)
    thread.start()
    try:
        assert read_json(path) is None
    finally:
        asked.set()
        thread.join()


def test_a_file_that_is_too_large_is_not_read(tmp_path, monkeypatch):
    path = tmp_path / "fact.json"
    write_json(path, {"a": "x" * 100})
    assert read_json(path) == {"a": "x" * 100}
    monkeypatch.setattr("harness.files.json_file._LARGEST", 100)
    assert read_json(path) is None


def test_a_link_whose_answer_was_lost_counts_as_made(tmp_path, monkeypatch):
    """A network folder repeats a request that wasn't answered, and then finds what it made itself."""
    link = os.link

    def twice(*paths):
        link(*paths)
        link(*paths)

    monkeypatch.setattr(os, "link", twice)
    assert create_json(tmp_path / "claim.json", {"writer": 1})
    assert not create_json(tmp_path / "claim.json", {"writer": 2})
    assert read_json(tmp_path / "claim.json") == {"writer": 1}


def test_a_file_that_is_replaced_while_it_is_read_is_read_again(tmp_path, monkeypatch):
    path, opened = tmp_path / "fact.json", os.open
    write_json(path, {"a": 1})
    stale = [OSError(errno.ESTALE, "Stale file handle")]

    def once_stale(*arguments):
        if stale:
            raise stale.pop()
        return opened(*arguments)

    monkeypatch.setattr(os, "open", once_stale)
    assert read_json(path) == {"a": 1}


def test_a_folder_that_is_replaced_by_a_link_as_it_is_made_opens_nothing_else(tmp_path, monkeypatch):
    victim = tmp_path / "private"
    victim.mkdir(0o700)
    mkdir = Path.mkdir

    def swapped(folder, *arguments, **options):
        mkdir(folder, *arguments, **options)
        if folder.name == "shared":  # another user is quick
            folder.rmdir()
            folder.symlink_to(victim)

    monkeypatch.setattr(Path, "mkdir", swapped)
    make_folder(tmp_path / "shared")
    assert stat.S_IMODE(victim.stat().st_mode) == 0o700


@pytest.mark.parametrize(
    "text", ['{"a": ' + "9" * 5000 + "}", "[" * 100_000, '{"a": 1', '{"\ud800'.encode("utf-8", "replace")]
)
def test_what_no_program_of_ours_writes_is_damage(tmp_path, text):
    path = tmp_path / "fact.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    assert read_json(path) is None
    with pytest.raises(ValueError, match=r"."):
        parse_json(path.read_bytes())


def test_half_a_surrogate_pair_becomes_a_character_that_tables_take():
    assert parse_json(b'{"a\\udcff": ["\\uD83D\\uDE00", "\\ud800", 1]}') == {"a\ufffd": ["\U0001f600", "\ufffd", 1]}


def test_a_figure_that_is_no_number_is_missing(tmp_path):
    path = tmp_path / "fact.json"
    path.write_text('{"a": NaN, "b": [Infinity, -Infinity, 1.5]}')
    assert read_json(path) == {"a": None, "b": [None, None, 1.5]}
