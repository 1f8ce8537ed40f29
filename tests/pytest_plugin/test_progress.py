from __future__ import annotations

import io
import re
import threading
from contextlib import contextmanager
from types import SimpleNamespace

import pytest

import fakes.inner_runs  # noqa: F401 (what the inner runs need)
from harness.pytest_plugin.progress import BarProgress, LineProgress
from harness.run.progress import Watch

pytest_plugins = ["pytester"]


@pytest.fixture
def terminal():
    class Terminal(io.StringIO):
        open = False

        @contextmanager
        def uncaptured(self):
            self.open = True
            yield
            self.open = False

        def write(self, text):
            assert self.open
            return super().write(text)

    return Terminal()


def visible(text):
    return re.sub(r"\x1b(\[[0-9;]*[mK]|[78])", "", text)


@pytest.mark.parametrize("columns", [0, 5, 20, 44, 45, 80, 200])
def test_a_bar_fits_and_puts_the_cursor_back(terminal, columns):
    BarProgress(terminal, lambda: columns, terminal.uncaptured)("measure", 340, 1000)
    drawn = terminal.getvalue()
    assert len(visible(drawn)) <= columns
    assert drawn.startswith("\x1b7")
    assert drawn.endswith("\x1b8")
    assert "\n" not in drawn
    if columns >= 20:
        assert "measuring 340/1,000" in visible(drawn)


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still unless it is set: the seconds that it shows are its only item."""
    shows = [0.0]
    monkeypatch.setattr("harness.pytest_plugin.progress.time", SimpleNamespace(monotonic=lambda: shows[0]))
    return shows


def test_a_bar_is_drawn_rarely_but_always_at_the_end(terminal, clock):
    bar = BarProgress(terminal, lambda: 80, terminal.uncaptured)
    for done in range(1, 1001):
        clock[0] += 1 / 1024
        bar("measure", done, 1000)
    assert terminal.getvalue().count("\x1b7") == 11
    assert "measuring 1,000/1,000" in visible(terminal.getvalue())
    bar.clear()
    assert terminal.getvalue().endswith("\x1b[0K")


def test_lines_come_every_few_seconds(clock):
    lines = []
    show = LineProgress("int8", lines.append)
    for done in range(1, 101):
        clock[0] += 0.22
        show("measure", done, 100)
    assert lines == ["  int8: measuring, 46 of 100 (46 %)", "  int8: measuring, 92 of 100 (92 %)"]


def test_a_signal_ends_the_item():
    stopped = threading.Event()
    watch = Watch(None, stopped)
    watch("measure", 1, 2)
    watch.clear()
    stopped.set()
    with pytest.raises(KeyboardInterrupt):
        watch("measure", 2, 2)


def test_a_line_begins_after_the_dots(pytester):
    pytester.makepyfile(
        "from harness.pytest_plugin.progress import line_writer\n"
        "def test_a(): pass\n"
        "def test_b(request): line_writer(request.config)('hello')\n"
    )
    result = pytester.runpytest_subprocess("-q", "-p", "no:cacheprovider")
    result.stdout.fnmatch_lines([".", "hello"])
