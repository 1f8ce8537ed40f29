"""`hil init`: a lab folder of the user's own that works at once."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), default=Path(), metavar="[DIR]")
def init(folder: Path) -> None:
    """Start a lab of your own in DIR (default: here): devices.yaml, a first suite, .gitignore."""
    from harness.commands.init import start_lab

    start_lab(folder)
