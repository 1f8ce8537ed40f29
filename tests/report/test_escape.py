"""Strings of boards, made harmless."""

from __future__ import annotations

import sys
import unicodedata

from harness.text.escape import printable

_MARKS = ("LEFT-TO-RIGHT MARK", "RIGHT-TO-LEFT MARK", "ARABIC LETTER MARK")
_CLASSES = ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")


def test_nothing_turns_the_direction_of_text_around():
    every = map(chr, range(sys.maxunicode + 1))
    turning = [
        one for one in every if unicodedata.bidirectional(one) in _CLASSES or unicodedata.name(one, "") in _MARKS
    ]
    assert len(turning) == 12
    assert printable("".join(turning)).isascii()


def test_no_control_character_but_tab_and_newline_is_left():
    controls = [chr(code) for code in range(0x100) if unicodedata.category(chr(code)) == "Cc"]
    assert printable("".join(controls)).replace("\t", "").replace("\n", "").isprintable()
    assert printable("a\tb\n\x1b[2J") == "a\tb\n\\x1b[2J"
