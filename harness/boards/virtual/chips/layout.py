"""The registers of a peripheral as a table: which there are, of what kind, and what they hold after reset.

A table is written as text, its items separated by blanks: `kind:offsets`, or `kind:offsets=reset value`, all in
hexadecimal. Offsets are single ones, `500-50C` for consecutive words, or `510-580/10` for every sixteenth byte.
Kinds: `t` a task that starts something, `s` one that stops it, `e` an event, `w` a register that can be read and
written, `r` one that can only be read, `o` one that can only be written. `x` marks a register of these whose writing
starts something, with the bits that do as value; without a value, any write does.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ANY_WRITE = 0


@dataclass(frozen=True)
class Layout:
    """Which registers a page of peripherals has. Offsets are from the page's first byte.

    Attributes:
        tasks: those that start something.
        stops: tasks that end something, or change nothing that is visible.
        events: registers that say that something happened.
        resets: reset value of each plain register that can be read.
        writable: plain registers that can be written.
        starters: plain registers whose writing starts something: the bits that do, or ANY_WRITE.
    """

    tasks: frozenset[int]
    stops: frozenset[int]
    events: frozenset[int]
    resets: dict[int, int]
    writable: frozenset[int]
    starters: dict[int, int]

    def __contains__(self, offset: int) -> bool:
        """Tell whether there is a register at `offset`."""
        known = (self.tasks, self.stops, self.events, self.resets, self.writable)
        return any(offset in registers for registers in known)


def _offsets(text: str) -> Iterator[int]:
    for part in text.split(","):
        span, _, step = part.partition("/")
        first, _, last = span.partition("-")
        yield from range(int(first, 16), int(last or first, 16) + 1, int(step or "4", 16))


@cache
def parse_layout(*tables: str) -> Layout:
    """Return the registers of peripherals that share a page; where several have one, the first one counts."""
    kinds: dict[str, dict[int, int]] = {kind: {} for kind in "tsewrox"}
    for table in tables:
        for item in table.split():
            kind, _, rest = item.partition(":")
            offsets, _, value = rest.partition("=")
            for offset in _offsets(offsets):
                kinds[kind].setdefault(offset, int(value or "0", 16))
    return Layout(
        tasks=frozenset(kinds["t"]),
        stops=frozenset(kinds["s"]),
        events=frozenset(kinds["e"]),
        resets=kinds["r"] | kinds["w"],
        writable=frozenset(kinds["w"]) | frozenset(kinds["o"]),
        starters=kinds["x"],
    )
