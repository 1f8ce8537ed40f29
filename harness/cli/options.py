"""Options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click


def _folder(value: str | Path) -> Path:
    if not isinstance(value, str) or ":" not in value:
        return Path(value)
    from harness.store.fetch import local

    return local(value)


LAB = click.option("--lab", metavar="FILE", help="The lab's boards (default: devices.yaml, if there is one).")
DEVICE = click.option("--device", required=True, metavar="NAME", help="A device of the lab, or a kind of board.")
BACKEND = click.option(
    "--backend", type=click.Choice(["auto", "hardware", "renode", "virtual"]), default="auto", show_default=True
)
IMAGE = click.argument("image", type=click.Path(path_type=Path))
RESULTS = click.option(
    "--results-dir", type=click.Path(path_type=Path), default=Path("results"), show_default=True, metavar="DIR"
)
#: For what only reads. The runs of a store behind a URL are fetched into this user's cache.
READ_RESULTS = click.option(
    "--results-dir", type=_folder, default=Path("results"), show_default=True, metavar="DIR|URL"
)

WAIT = click.option("--wait", is_flag=True, help="Wait for a board that somebody else uses.")
#: Also by the name that it has in pytest, where another plugin has `--timeout`.
TIMEOUT = click.option(
    "--timeout",
    "--wait-timeout",
    "timeout",
    type=click.FloatRange(min=0),
    metavar="SECONDS",
    help="Wait so long at most (default: no limit).",
)


def patience_of(wait: bool, timeout: float | None) -> Any:  # noqa: FBT001 (click passes it)
    """Return what `--wait` and `--timeout` mean; a limit alone says that waiting is wanted."""
    from harness.locks.waiting import NOW, Patience

    if not wait and timeout is None:
        return NOW
    return Patience(timeout, lambda text: click.echo(text, err=True))


def load_lab(lab: str | None) -> Any:
    """Return the lab that `--lab` names, or the one of the current folder.

    Raises:
        ConfigError: its file is wrong.
    """
    from harness.config import Lab, find_lab

    return Lab.load(find_lab(lab, [Path()]))
