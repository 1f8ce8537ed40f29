"""`hil flash`: one image on one board."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from harness.cli.options import BACKEND, DEVICE, IMAGE, LAB, load_lab, single_device, waits

if TYPE_CHECKING:
    from pathlib import Path

    from harness.boards.backends import Wanted
    from harness.boards.base import Board
    from harness.locks.waiting import Patience


@click.command()
@IMAGE
@DEVICE
@BACKEND
@LAB
@click.option("--force", is_flag=True, help="Flash even if the board already holds IMAGE.")
@click.option("--allow-mass-erase", is_flag=True, help="Unlock a locked part, which erases all of it.")
@waits
def flash(
    *,
    image: Path,
    device: str,
    backend: Wanted,
    lab: str | None,
    force: bool,
    allow_mass_erase: bool,
    patience: Patience,
) -> None:
    """Flash IMAGE (an ELF file), check it, and say what runs."""
    from harness.boards.backends import choose_backend
    from harness.boards.start_image import start_image
    from harness.farm.lab_access import opened
    from harness.image.elf import load_image
    from harness.link.client import Link
    from harness.link.timing import Timing

    chosen = single_device(load_lab(lab), device)
    loaded = load_image(image, chosen.kind)
    where, why = choose_backend(chosen, backend)
    click.echo(f"{chosen.name} on {where} ({why})")
    with opened(chosen, where, unlock=allow_mass_erase, patience=patience) as board:
        link = Link(board.link(), board.name, Timing(baud=chosen.kind.baud))
        info = start_image(board, loaded, link, force=force)
        for note in board.notes:
            click.echo(f"{note[0].upper()}{note[1:]}.")
        if board.flashing != "written":
            click.echo("--force flashes it anyway.")
        else:
            click.echo(f"Flashed {image.name}: {loaded.flash_bytes:,} bytes, {flash_proof(board)}.")
        click.echo(f"Running: {loaded.card.model}, build id {info.build_id}, chip {info.chip_id:016X}.")
    if where != "hardware":
        click.echo("This board is emulated: it exists only while a command uses it, so nothing stays flashed.")


def flash_proof(board: Board) -> str:
    """Say how it is known that an image is in a board's flash."""
    if board.reads_memory:
        return "read back and equal"
    by = getattr(board, "verified_by", None)
    proof = "not read back (no probe)" if by is None else f"read back and compared by {by}"
    return f"{proof}, and its build id answers"
