"""The one place through which text goes to a terminal: made harmless, and put into what the stream can encode."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from harness.text.escape import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

#: What a command ends with for an error that it doesn't know, as pytest does: no other outcome has this number.
INTERNAL_ERROR: Final = 3
#: What a shell reports for a program that SIGPIPE ended: who read its output has left.
_PIPE_CLOSED: Final = 141

#: What stands for a character of ours that a stream can't encode.
_LOOKALIKES: Final = {
    **dict.fromkeys("\u2500\u2501\u2578\u257a\u2013\u2014\u2212", "-"),
    **dict.fromkeys("\u2588\u2589\u258a\u258b\u258c", "#"),
    **dict.fromkeys("\u258d\u258e\u258f", " "),
    **dict.fromkeys("\u00d7\u2715", "x"),
    **dict.fromkeys("\u00b5\u03bc", "u"),
    "\u2502": "|",
    "\u25b2": "^",
    "\u25bc": "v",
    "\u00b7": "-",
    "\u00b1": "+-",
    "\u2026": "...",
    "\u2264": "<=",
    "\u2265": ">=",
}


def fit(text: str, encoding: str | None) -> str:
    """Return text that an encoding can hold: lines and marks are drawn in ASCII where they must be.

    Args:
        text: to show.
        encoding: of the stream; None is UTF-8.
    """
    encoding = encoding or "utf-8"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return "".join(_fit(character, encoding) for character in text)
    except LookupError:
        return fit(text, "ascii")
    return text


def _fit(character: str, encoding: str) -> str:
    try:
        character.encode(encoding)
    except UnicodeEncodeError:
        return _LOOKALIKES.get(character) or character.encode("ascii", "backslashreplace").decode()
    return character


def encoding_of(stream: Any) -> str | None:
    """Return the encoding of a stream; None if it has none and takes any text."""
    return getattr(stream, "encoding", None)


class _Stream:
    """Stands for standard output or error while a command runs.

    Whatever is written is made harmless. A reader that has left ends the program quietly, a full disk in words.

    Args:
        under: the stream itself.
    """

    buffer = None  # else click would write past this, into what it takes for a misconfigured stream

    def __init__(self, under: Any) -> None:
        self.under = under

    def __getattr__(self, name: str) -> Any:
        return getattr(self.under, name)

    def write(self, text: str) -> int:
        if not isinstance(text, str):
            raise TypeError(f"text is written here, not {type(text).__name__}")
        self.write_styled(printable(text.replace("\r\n", "\n")))
        return len(text)

    def write_styled(self, text: str) -> None:
        """Write text that is harmless but for its colours."""
        with self._failing():
            self.under.write(fit(text, encoding_of(self.under)))

    def write_data(self, text: str) -> None:
        """Write what programs read, as it is and in UTF-8."""
        with self._failing():
            binary = getattr(self.under, "buffer", None)
            if binary is None:
                self.under.write(text)
            else:
                self.under.flush()
                binary.write(text.encode("utf-8", "backslashreplace"))
            self.under.flush()

    def flush(self) -> None:
        with self._failing():
            self.under.flush()

    @contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:
            self._give_up()
            raise SystemExit(_PIPE_CLOSED) from None
        except OSError as error:
            self._give_up()
            with suppress(OSError, ValueError):
                os.write(2, f"hil: the output can't be written: {error.strerror or error}\n".encode())
            raise SystemExit(INTERNAL_ERROR) from None

    def _give_up(self) -> None:
        """Let what Python writes at its end go nowhere, as it would fail once more."""
        with suppress(OSError, ValueError, AttributeError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.under.fileno())
            os.close(nowhere)


@contextmanager
def harmless_output() -> Iterator[None]:
    """Send everything that is printed through here: no control character, and nothing that can't be encoded."""
    before = sys.stdout, sys.stderr
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:  # for a closed stream, which is None
        streams: Any = [_Stream(stream or nowhere) for stream in before]
        sys.stdout, sys.stderr = streams
        try:
            yield
            sys.stdout.flush()
        finally:
            sys.stdout, sys.stderr = before


def echo_styled(text: str) -> None:
    """Print text that holds colours, and whose other parts were made harmless."""
    _written("write_styled", f"{text if sys.stdout.isatty() else click.unstyle(text)}\n")


def echo_data(text: str) -> None:
    """Print what programs read, JSON aside: as it is, in UTF-8 whatever the terminal has."""
    _written("write_data", text)


def _written(how: str, text: str) -> None:
    out: Any = sys.stdout
    getattr(out if isinstance(out, _Stream) else _Stream(out), how)(text)
    out.flush()
