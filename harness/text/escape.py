"""Strings that came from a board, made harmless for where they are shown. They can hold anything."""

from __future__ import annotations

import re

#: Control characters, which move the cursor or colour a terminal, line separators, and what turns the
#: direction of text around (all of Unicode's Bidi_Control,
#: https://www.unicode.org/Public/UCD/latest/ucd/PropList.txt).
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
#: What XML 1.0 can't hold, not even escaped.
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
#: A spreadsheet takes a cell that begins so for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def printable(text: str) -> str:
    r"""Return text for a terminal: control characters other than tab and newline are shown as \xNN."""
    return _CONTROL.sub(_code, text)


def one_line(text: str) -> str:
    """Return text for a cell of a table or the middle of a line: as `printable`, without tabs and newlines."""
    return " ".join(printable(text).split()) if any(space in text for space in "\t\n") else printable(text)


def xml_text(text: str) -> str:
    """Return text that XML can hold once it is escaped."""
    return _NOT_XML.sub(_code, printable(text))


def csv_text(text: str) -> str:
    """Return text for a cell of a CSV file, which no spreadsheet takes for a formula: such text gets a ' before it."""
    shown = printable(text)
    return f"'{shown}" if text.startswith(_FORMULA) else shown


def _code(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
