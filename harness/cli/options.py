"""Options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

LAB = click.option("--lab", metavar="FILE", help="The lab's boards (default: devices.yaml, if there is one).")
DEVICE = click.option("--device", required=True, metavar="NAME", help="A device of the lab, or a kind of board.")
BACKEND = click.option(
    "--backend", type=click.Choice(["auto", "hardware", "renode", "virtual"]), default="auto", show_default=True
)
IMAGE = click.argument("image", type=click.Path(path_type=Path))
RESULTS = click.option(
    "--results-dir", type=click.Path(path_type=Path), default=Path("results"), show_default=True, metavar="DIR"
)


def load_lab(lab: str | None) -> Any:
    """Return the lab that `--lab` names, or the one of the current folder.

    Raises:
        ConfigError: its file is wrong.
    """
    from harness.config import Lab, find_lab

    return Lab.load(find_lab(lab, [Path()]))
