"""Tables of text for a terminal of any width, in which no number and no name is ever broken."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.cells import cell_len
from rich.console import Group
from rich.table import Table
from rich.text import Text

from harness.report.escape import one_line

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from rich.console import RenderableType

#: Between two columns, and where it is tight.
GAP, _TIGHT_GAP = 3, 2


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
        headings: of the columns.
        rows: their cells, from `cell`.
        width: columns of the terminal.
        right: headings of the columns that are numbers, which never wrap.
        title: above it.
        edge: whether there are empty lines around it.
    """
    full = [max([cell_len(name), *(row[at].cell_len for row in rows)]) for at, name in enumerate(headings)]
    least = [
        full[at] if name in right else max(_longest_word(text) for text in (name, *(row[at].plain for row in rows)))
        for at, name in enumerate(headings)
    ]
    gap = GAP if sum(full) + GAP * (len(full) - 1) <= width else _TIGHT_GAP
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
        collapse_padding=gap == _TIGHT_GAP,
    )
    for name, size in zip(headings, _widths(full, least, room), strict=True):
        table.add_column(cell(name), justify="right" if name in right else "left", width=size, overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table


def _widths(full: Sequence[int], least: Sequence[int], room: int) -> list[int]:
    """Give each column what it needs at least, and the room that is left to those that need more, in turn."""
    widths = list(least)
    left = room - sum(widths)
    while left > 0 and widths != list(full):
        for at in range(len(widths)):
            if left and widths[at] < full[at]:
                widths[at] += 1
                left -= 1
    return widths


def _stacked(headings: Sequence[str], rows: Sequence[Sequence[Text]], title: Text | None) -> Group:
    lines: list[Text] = [] if title is None else [title]
    for row in rows:
        for at, (name, text) in enumerate(zip(headings, row, strict=True)):
            if text.plain:
                lines.append(Text.assemble(f"{'' if at == 0 else '  '}{one_line(name)}: ", text))
    return Group(*lines, Text())


def _longest_word(text: str) -> int:
    return max(map(cell_len, text.split()), default=0)
