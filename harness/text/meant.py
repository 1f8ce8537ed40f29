"""What a misspelt word was probably meant to be."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Say which known word was probably meant, else list them all."""
    words = list(known)
    near = difflib.get_close_matches(word, words, n=1)
    if near:
        return f'; did you mean "{near[0]}"?'
    return f"; known: {', '.join(words)}" if words else ""
