"""What the linker misses, in our words: which source asks for it, by way of which library function, and what to do."""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_IN = re.compile(r"^(?:\S*ld(?:\.exe)?: )?(\S+): in function `", re.MULTILINE)
_UNDEFINED = re.compile(r"undefined reference to `([^']+)'")
#: "Archive member included to satisfy reference by file (symbol)", of a map file.
_PULLED = re.compile(r"^(\S+\.a\([^)]+\))\s+(\S.*?) \((\S.*)\)$", re.MULTILINE)
_MAIN = {"hil_model_setup", "hil_model_invoke", "__real_hil_model_setup"}
_SYSTEM_CALLS = {
    *("_close", "_exit", "_fstat", "_getpid", "_gettimeofday", "_isatty", "_kill", "_lseek", "_open", "_read"),
    *("_times", "_unlink", "_write"),
}
_STOPS = ("abort", "__assert_func", "exit", "raise")


def explain_unresolved(problem: str, link_map: str, sources: Mapping[str, str]) -> str:
    """Return what the linker said; where it is about what nothing defines, who asks for it and what to do.

    Args:
        problem: its messages, in English.
        link_map: its map file, which tells why each member of a library is linked; "" for none.
        sources: what to call each object, by its path.
    """
    missing = _by_object(problem)
    if not missing:
        return problem
    pulled = {member: (by, symbol) for member, by, symbol in _PULLED.findall(link_map)}
    asked: dict[tuple[str, str], set[str]] = {}
    for place, symbols in missing.items():
        by, function = _origin(place, pulled)
        asked.setdefault((sources.get(by, PurePath(by).name), function), set()).update(symbols)
    every = {symbol for symbols in missing.values() for symbol in symbols}
    lines = [f"functions or variables that nothing defines: {', '.join(sorted(every))}"]
    for (by, function), symbols in sorted(asked.items()):
        way = f"{function.partition('(')[0]}(), which needs " if function else ""
        lines.append(f"{by} calls {way}{', '.join(sorted(symbols))}.")
    return "\n".join([*lines, *_remedies(asked)])


def _by_object(problem: str) -> dict[str, set[str]]:
    """Return the undefined symbols by the object or member of a library that refers to them."""
    found: dict[str, set[str]] = {}
    place = ""
    for line in problem.splitlines():
        if (where := _IN.match(line)) is not None:
            place = where[1]
        for symbol in _UNDEFINED.findall(line):
            found.setdefault(place, set()).add(symbol)
    return found


def _origin(place: str, pulled: Mapping[str, tuple[str, str]]) -> tuple[str, str]:
    """Return the object because of which a member is linked, and the function that it calls; "" if it is one itself."""
    function = ""
    seen = set()
    while place in pulled and place not in seen:
        seen.add(place)
        place, function = pulled[place]
    return place, function


def _remedies(asked: Mapping[tuple[str, str], set[str]]) -> list[str]:
    needs: dict[str, set[str]] = {}
    for (_, function), symbols in asked.items():
        needs.setdefault(function, set()).update(symbols)
    stops = [function for function in _STOPS if needs.get(function, set()) & _SYSTEM_CALLS]
    missing = {symbol for function, symbols in needs.items() if function not in stops for symbol in symbols}
    lines = []
    if _MAIN & missing:
        lines.append("An engine must define hil_model_setup() and hil_model_invoke() (hil_model.h).")
    if stops:
        lines.append(
            f"{', '.join(f'{name}()' for name in stops)}: there is no operating system to return to. Define it in a "
            'source of the engine, in C++ as extern "C": void abort(void) { __builtin_trap(); } is reported as a '
            "fault, with its address."
        )
    if "_sbrk" in missing:
        lines.append("Something calls malloc() or new. Give it a heap with --heap BYTES, or avoid it.")
    if _SYSTEM_CALLS & missing:
        lines.append(
            "There is no operating system to print or open files with. Leave such sources out (--exclude), or define "
            "the missing functions yourself."
        )
    return lines
