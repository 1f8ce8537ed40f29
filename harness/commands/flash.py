"""`hil flash` and `hil profile`: one image on one board."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from harness.boards.opening import Wanted, choose_backend
from harness.boards.start_image import start_image
from harness.errors import ConfigError
from harness.farm.access import opened
from harness.image.elf import load_image
from harness.link.client import Link
from harness.link.timing import Timing
from harness.locks.waiting import NOW

if TYPE_CHECKING:
    from pathlib import Path

    from harness.boards.base import Board
    from harness.config import Device, Lab
    from harness.locks.waiting import Patience


def single_device(lab: Lab, selector: str) -> Device:
    """Return the one device that is meant.

    Raises:
        ConfigError: none or several are.
    """
    devices = lab.select([selector])
    if len(devices) != 1:
        raise ConfigError(f"{selector} means {', '.join(device.name for device in devices)}; name one of them")
    return devices[0]


def flash_proof(board: Board) -> str:
    """Say how it is known that an image is in a board's flash."""
    return "read back and equal" if board.reads_memory else "not read back (no probe), and its build id answers"


def flash_image(
    path: Path,
    device: Device,
    wanted: Wanted,
    *,
    force: bool = False,
    allow_mass_erase: bool = False,
    patience: Patience = NOW,
) -> None:
    """Flash an image unless the board holds it already, start it, and say what then runs on the board."""
    image = load_image(path, device.kind)
    backend, why = choose_backend(device, wanted)
    click.echo(f"{device.name} on {backend} ({why})")
    with opened(device, backend, unlock=allow_mass_erase, patience=patience) as board:
        link = Link(board.link(), board.name, Timing(baud=device.kind.baud))
        info = start_image(board, image, link, force=force)
        for note in board.notes:
            click.echo(f"{note[0].upper()}{note[1:]}.")
        if board.flashing != "written":
            click.echo("--force flashes it anyway.")
        else:
            click.echo(f"Flashed {path.name}: {image.flash_bytes:,} bytes, {flash_proof(board)}.")
        click.echo(f"Running: {image.card.model}, build id {info.build_id}, chip {info.chip_id:016X}.")
    if backend != "hardware":
        click.echo("This board is emulated: it exists only while a command uses it, so nothing stays flashed.")
