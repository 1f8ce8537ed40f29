"""A Renode to start: the stand-in, as an executable on its own."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

FAKE = Path(__file__).parents[2] / "fakes" / "renode.py"


class StandIn:
    """The stand-in's executable, what goes wrong with it, and what it has received."""

    def __init__(self, folder, monkeypatch):
        self._monkeypatch = monkeypatch
        self.trace_file = folder / "trace"
        self.program = folder / "renode"
        self.write_program("exec ")
        monkeypatch.setenv("FAKE_RENODE_TRACE", str(self.trace_file))
        monkeypatch.setenv("HIL_RENODE", str(self.program))
        monkeypatch.delenv("FAKE_RENODE", raising=False)

    def write_program(self, how):
        self.program.write_text(f'#!/bin/sh\n{how}"{sys.executable}" "{FAKE}" "$@"\n')
        self.program.chmod(0o755)

    def trap(self, text):
        self._monkeypatch.setenv("FAKE_RENODE", text)

    @property
    def trace(self):
        if not self.trace_file.exists():  # it has not begun yet
            return []
        return [json.loads(line) for line in self.trace_file.read_text().splitlines()]

    @property
    def commands(self):
        return [entry[1] for entry in self.trace if entry[0] == "command"]

    @property
    def pids(self):
        return [entry[1] for entry in self.trace if entry[0] == "pid"]

    def running(self):
        return [pid for pid in self.pids if alive(pid)]


def alive(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    folder = tmp_path / "installed"
    folder.mkdir()
    stand_in = StandIn(folder, monkeypatch)
    yield stand_in
    if stand_in.trace_file.exists():
        assert stand_in.running() == [], "a Renode outlived its test"
