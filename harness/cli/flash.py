"""`hil flash` and `hil profile`: one image on one board."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from harness.cli.options import BACKEND, DEVICE, IMAGE, LAB, TIMEOUT, WAIT, load_lab, patience_of

if TYPE_CHECKING:
    from pathlib import Path


@click.command()
@IMAGE
@DEVICE
@BACKEND
@LAB
@click.option("--force", is_flag=True, help="Flash even if the board already holds IMAGE.")
@click.option("--allow-mass-erase", is_flag=True, help="Unlock a locked part, which erases all of it.")
@WAIT
@TIMEOUT
def flash(
    image: Path,
    device: str,
    backend: Any,
    lab: str | None,
    force: bool,  # noqa: FBT001 (click passes it)
    allow_mass_erase: bool,  # noqa: FBT001 (click passes it)
    wait: bool,  # noqa: FBT001 (click passes it)
    timeout: float | None,
) -> None:
    """Flash IMAGE (an ELF file), check it, and say what runs."""
    from harness.commands.flash import flash_image, single_device

    chosen = single_device(load_lab(lab), device)
    patience = patience_of(wait, timeout)
    flash_image(image, chosen, backend, force=force, allow_mass_erase=allow_mass_erase, patience=patience)
