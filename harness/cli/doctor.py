"""`hil doctor`: is everything there, and what to do if not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from harness.cli.options import BACKEND, LAB, TIMEOUT, WAIT, load_lab, patience_of


@click.command()
@click.option("--device", metavar="NAME", help="Check this device too: probe, flash, link.")
@click.option(
    "--image",
    type=click.Path(path_type=Path),
    help="With a real --device: flash this image (it replaces what is there).",
)
@BACKEND
@LAB
@WAIT
@TIMEOUT
def doctor(
    device: str | None,
    image: Path | None,
    backend: Any,
    lab: str | None,
    wait: bool,  # noqa: FBT001 (click passes it)
    timeout: float | None,
) -> None:
    """Check everything that the harness needs, a line each, with the remedy."""
    from harness.commands.doctor import examine

    if not examine(lambda: load_lab(lab), device, image, backend, patience_of(wait, timeout)):
        raise SystemExit(1)
