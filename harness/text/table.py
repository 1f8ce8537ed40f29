"""Tables of text for a terminal of any width, in which no number and no name is ever broken."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.cells import cell_len
from rich.console import Group
from rich.table import Table
from rich.text import Text

from harness.text.escape import one_line

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from rich.console import RenderableType

#: Between two columns, and where it is tight.
_GAP, TIGHT_GAP = 3, 2
#: A word as long as this is no name, but a path or a command: it is folded where it must be.
_FOLDED = 28
#: Left and right of a table with edges.
_EDGES = 2


def cell(text: str, style: str = "") -> Text:
    """Return the text of a cell, harmless whatever it holds."""
    return Text(one_line(text), style=style)


def text_table(
    headings: Sequence[str],
    rows: Sequence[Sequence[Text]],
    *,
    width: int,
    right: Collection[str] = (),
    title: Text | None = None,
    edge: bool = True,
) -> RenderableType:
    """Return a table that fits into a width.

    Text wraps between words where the table is too wide. If that isn't enough, the cells of a row stand below each
    other, each with its heading.

    Args:
        headings: the heading of each column.
        rows: the cells of each row, made by `cell`.
        width: columns that the terminal has.
        right: headings of the columns that are numbers, which never wrap.
        title: what stands above the table.
        edge: whether there are empty lines around it.
    """
    full = [max([cell_len(name), *(row[at].cell_len for row in rows)]) for at, name in enumerate(headings)]
    words = [
        max(longest_word(text) for text in (name, *(row[at].plain for row in rows))) for at, name in enumerate(headings)
    ]
    least = [full[at] if name in right else min(words[at], _FOLDED) for at, name in enumerate(headings)]
    width -= _EDGES if edge else 0
    gap = _GAP if sum(full) + _GAP * (len(full) - 1) <= width else TIGHT_GAP
    room = width - gap * (len(full) - 1)
    if sum(least) > room:
        return _stacked(headings, rows, title)
    table = Table(
        box=box.SIMPLE_HEAD,
        title=title,
        title_justify="left",
        title_style="bold",
        show_edge=edge,
        pad_edge=False,
        collapse_padding=gap == TIGHT_GAP,
    )
    for name, size in zip(headings, _widths(full, least, room), strict=True):
        table.add_column(cell(name), justify="right" if name in right else "left", width=size, overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table


def _widths(full: Sequence[int], least: Sequence[int], room: int) -> list[int]:
    """Take from the widest column that can wrap further, until all of them fit."""
    widths = list(full)
    while sum(widths) > room:
        widest = max((at for at in range(len(widths)) if widths[at] > least[at]), key=lambda at: widths[at])
        widths[widest] -= 1
    return widths


def _stacked(headings: Sequence[str], rows: Sequence[Sequence[Text]], title: Text | None) -> Group:
    lines: list[Text] = [] if title is None else [title]
    for row in rows:
        for at, (name, text) in enumerate(zip(headings, row, strict=True)):
            if text.plain:
                lines.append(Text.assemble(f"{'' if at == 0 else '  '}{one_line(name)}: ", text))
    return Group(*lines, Text())


def longest_word(text: str) -> int:
    """Return the width of what can't be wrapped."""
    return max(map(cell_len, text.split()), default=0)
