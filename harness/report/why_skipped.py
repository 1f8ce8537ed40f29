"""Why there is no image of a variant for a board, in a few words: what `hil build` said takes a paragraph."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from harness.report.reasons import joined

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_EXCESS = re.compile(r"(\w+): ([^:]*): ([\d,]+) B too many")
_STACK = re.compile(r"(\w+): only [^:]* left for the stack, ([\d,]+) B too few")
_OPERATORS = re.compile(r"\(([A-Z]\w+)(?:: | of )\w+\)")


def why_not(reason: str) -> str | None:
    """Return by how many bytes a model is too large, or which kernels a board lacks; None of any other reason.

    Args:
        reason: the column of a case that was skipped.
    """
    excess = _EXCESS.findall(reason) if "doesn't fit" in reason else []
    if excess:
        least = "at least " if any(" alone " in said for _, said, _ in excess) else ""
        sizes = [f"{size} B of {memory.replace('FLASH', 'flash')}" for memory, _, size in excess]
        return f"too large by {least}{joined(sizes, None)}"
    stack = _STACK.search(reason)
    if stack is not None:
        return f"too large by {stack[2]} B of {stack[1]}"
    operators = dict.fromkeys(_OPERATORS.findall(reason)) if "has no kernel for" in reason else {}
    return f"no kernel for {joined(list(operators), None)}" if operators else None


def unfit(rows: Iterable[Mapping[str, Any]]) -> str:
    """Return which of some cases can't run on their board, and why, those for one reason together; "" if all can."""
    alike: dict[str, list[str]] = {}
    for row in rows:
        short = why_not(str(row["reason"])) if row["status"] == "skipped" else None
        if short is not None:
            alike.setdefault(short, []).append(str(row["variant"]))
    return "; ".join(f"{joined(names, None)}: {why}" for why, names in alike.items())
