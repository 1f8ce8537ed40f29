"""How far a case is: a bar behind what pytest has printed on a terminal, else a line now and then."""

from __future__ import annotations

import io
import time
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, TextIO

from rich.console import Console
from rich.progress_bar import ProgressBar

from harness.run.progress import Watch
from harness.text.escape import printable
from harness.text.terminal import encoding_of, fit

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    import pytest

    #: Lets output through to the terminal while pytest captures that of tests.
    Uncaptured = Callable[[], AbstractContextManager[None]]

_BAR_SECONDS = 0.1
_LINE_SECONDS = 10.0
_WORDS = {"flash": "flashing", "measure": "measuring"}
_SAVE, _RESTORE, _CLEAR = "\x1b7", "\x1b8", "\x1b[0K"
_TEXT_COLUMNS = 22


class BarProgress:
    """Draws at the cursor and puts the cursor back, so that pytest's own line stays as it is."""

    def __init__(self, file: TextIO, columns_left: Callable[[], int], uncaptured: Uncaptured) -> None:
        self._file = file
        self._columns_left = columns_left
        self._uncaptured = uncaptured
        self._due = 0.0

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Show that `done` of `total` steps of a stage are done."""
        now = time.monotonic()
        if now < self._due and done < total:
            return
        self._due = now + _BAR_SECONDS
        width = self._columns_left()
        text = f"{_WORDS.get(stage, stage)} {done:,}/{total:,}"[: max(0, width)]
        bar = self._bar(done, total, width - _TEXT_COLUMNS) if width > 2 * _TEXT_COLUMNS else ""
        drawn = fit(f"{text:{_TEXT_COLUMNS if bar else 0}}{bar}", encoding_of(self._file))
        self._write(f"{_SAVE}{_CLEAR}{drawn}{_RESTORE}")

    def clear(self) -> None:
        """Remove the bar."""
        self._write(_CLEAR)

    def _bar(self, done: int, total: int, width: int) -> str:
        console = Console(file=io.StringIO(), force_terminal=True, color_system="standard", width=width)
        with console.capture() as capture:
            console.print(ProgressBar(total=max(1, total), completed=done, width=min(width, 40)), end="")
        return capture.get().rstrip("\n")

    def _write(self, text: str) -> None:
        with self._uncaptured():
            self._file.write(text)
            self._file.flush()


class LineProgress:
    """Prints a line every few seconds, for logs."""

    def __init__(self, name: str, write_line: Callable[[str], None]) -> None:
        self._name = name
        self._write_line = write_line
        self._due = time.monotonic() + _LINE_SECONDS

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Say that `done` of `total` steps of a stage are done."""
        now = time.monotonic()
        if now < self._due:
            return
        self._due = now + _LINE_SECONDS
        words = _WORDS.get(stage, stage)
        self._write_line(f"  {self._name}: {words}, {done:,} of {total:,} ({100 * done // total} %)")

    def clear(self) -> None:
        """Lines stay."""


def watch_terminal(config: pytest.Config, name: str, stopped: threading.Event) -> Watch:
    """Return the progress of an item: a bar on a terminal, lines in a log, nothing in a worker of xdist."""
    reporter: Any = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None:
        return Watch(None, stopped)
    writer = config.get_terminal_writer()
    if not (reporter.isatty and writer.hasmarkup):
        return Watch(LineProgress(name, line_writer(config)), stopped)

    def columns_left() -> int:
        return int(writer.fullwidth - writer.width_of_current_line - 1)

    # The bare file, because the writer would count the bytes of a bar as text of its line.
    return Watch(BarProgress(writer._file, columns_left, _uncaptured(config)), stopped)  # noqa: SLF001


def line_writer(config: pytest.Config) -> Callable[[str], None]:
    """Return what prints a line at once, also while a test's output is captured; nothing in a worker of xdist."""

    def write(text: str) -> None:
        # Looked up late: options are read before these plugins are there.
        reporter: Any = config.pluginmanager.get_plugin("terminalreporter")
        if reporter is None:
            return
        writer = config.get_terminal_writer()
        with _uncaptured(config)():
            reporter.ensure_newline()
            if writer.width_of_current_line:  # with -q pytest says nothing of lines that are only dots
                writer.line()
            reporter.write_line(fit(printable(text), encoding_of(writer._file)))  # noqa: SLF001 (as above)
            reporter.flush()

    return write


def _uncaptured(config: pytest.Config) -> Uncaptured:
    capture = config.pluginmanager.get_plugin("capturemanager")
    return capture.global_and_fixture_disabled if capture else nullcontext
