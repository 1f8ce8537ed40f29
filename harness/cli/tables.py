"""How the commands print tables."""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import Console

#: Width where there is no terminal: wide enough for a log, narrow enough to read.
_PLAIN_COLUMNS = 120


def styled_width(plain: int = _PLAIN_COLUMNS) -> tuple[int, bool]:
    """Return how many columns standard output has, and whether it is a terminal, which shows colours."""
    terminal = sys.stdout.isatty()
    return shutil.get_terminal_size().columns if terminal else plain, terminal


def console() -> Console:
    """Return a console for standard output, as wide as the terminal."""
    from rich.console import Console

    return Console(width=styled_width()[0], highlight=False)


def print_table(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[str | None]], right: Iterable[str] = ()
) -> None:
    """Print a table.

    Args:
        title: above it.
        columns: their headings.
        rows: the cells; None is shown as "-".
        right: headings of the columns that are numbers.
    """
    from harness.text.table import cell, text_table

    out = console()
    table = text_table(
        columns,
        [[cell("-" if text is None else text) for text in row] for row in rows],
        width=out.width,
        right=set(right),
        title=cell(title, "bold"),
    )
    with out.capture() as capture:
        out.print(table)
    for line in capture.get().rstrip().splitlines():
        click.echo(line.rstrip())
    click.echo()
