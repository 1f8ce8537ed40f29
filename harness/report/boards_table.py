"""What techniques do on several boards, as a table of the page: a row for each technique, a column for each board."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.report.side_by_side import shown
from harness.report.tables import MARKS, NONE, Cell, Table

if TYPE_CHECKING:
    from harness.report.side_by_side import Effect, SideBySide


def boards_table(found: SideBySide) -> Table:
    """Return the table. Each column names what its board counts; sorting one orders techniques on one board."""
    head = [("variant", False), *((f"{place.name}, {place.unit}", True) for place in found.places)]
    rows = [
        (Cell(one.variant, kind="name", below=f"against {one.baseline}", title=one.technique), *map(_cell, one.effects))
        for one in found.techniques
    ]
    return Table(tuple(head), tuple(rows))


def _cell(effect: Effect) -> Cell:
    sizes = [("RAM", effect.ram), ("flash", effect.flash)]
    below = ", ".join(f"{name} {shown(ratio)}" for name, ratio in sizes if ratio is not None)
    if effect.ticks is None or effect.verdict is None:
        return Cell(NONE, below=effect.missing)
    kind = f"verdict {effect.verdict.replace(' ', '-').replace(chr(39), '')}"
    return Cell(f"{MARKS[effect.verdict]} {shown(effect.ticks)}", effect.ticks, kind, title=effect.verdict, below=below)
