"""How the commands print tables."""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING

import click
from rich.console import Console

from harness.text.table import cell, text_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

#: Width where there is no terminal: wide enough for a log, narrow enough to read.
_PLAIN_COLUMNS = 120


def console() -> Console:
    """Return a console for standard output, as wide as the terminal."""
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else _PLAIN_COLUMNS
    return Console(width=width, highlight=False)


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
