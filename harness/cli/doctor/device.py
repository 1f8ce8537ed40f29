"""What `hil doctor --device` says about one board."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.boards.backends import choose_backend
from harness.boards.start_image import check_chip, start_image
from harness.cli.doctor.host import PREBUILT
from harness.cli.flash import flash_proof
from harness.cli.options import single_device
from harness.errors import ConfigError, HilError
from harness.farm.lab_access import opened
from harness.image.elf import load_image
from harness.link.client import Link
from harness.link.timing import Timing
from harness.measure.finding import Finding
from harness.measure.link_health import link_findings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from harness.boards.backends import Wanted
    from harness.boards.base import Board
    from harness.config import Device, Lab
    from harness.image.elf import Image
    from harness.locks.waiting import Patience


def device_findings(lab: Lab, name: str, image: Path | None, wanted: Wanted, patience: Patience) -> Iterator[Finding]:
    """Check a board step by step; the first problem ends it."""
    try:
        device = single_device(lab, name)
        backend, why = choose_backend(device, wanted)
        yield Finding("ok", device.name, f"backend {backend}: {why}")
        with opened(device, backend, patience=patience) as board:
            probe = f"probe {board.probe_uid} opened" if board.probe_uid else "no probe"
            over = f"port {board.port}" if board.over == "uart" else f"link: {board.over}"
            yield Finding("ok", device.name, f"{probe}, {over}, counts {board.counter}")
            yield from (Finding("optional", device.name, note) for note in board.notes)
            link = Link(board.link(), board.name, _timing(board))
            yield from start_findings(board, device, link, _image_for(device, backend, image))
    except HilError as error:
        yield Finding("problem", name, str(error).removeprefix(f"{name}: "))


def _timing(board: Board) -> Timing:
    """Return how long to wait. An emulated board stands still with this computer: what is late there, is not lost."""
    if board.backend == "hardware":
        return Timing(baud=board.kind.baud)
    return Timing(boot=60.0, reply=60.0, quiet=60.0, baud=board.kind.baud)


def start_findings(board: Board, device: Device, link: Link, image: Image | None) -> Iterator[Finding]:
    """Start an image, or what the board has, and try its link."""
    if image is None:
        board.reset()
        info = link.connect()
        check_chip(board, info)
    else:
        info = start_image(board, image, link)
        yield Finding("ok", device.name, f"flashed {image.path.name}, {flash_proof(board)}")
    port = getattr(board.link(), "port", "")
    where = f" at {port}" if board.over == "usb" else ""
    yield Finding("ok", device.name, f"firmware answers{where}: chip {info.chip_id:016X}, build id {info.build_id}")
    yield from link_findings(board, link, info)


def _image_for(device: Device, backend: str, given: Path | None) -> Image | None:
    """A real board keeps what it has unless an image was given; a virtual one comes empty."""
    if given is None and backend == "hardware":
        return None
    images = [given] if given is not None else sorted((PREBUILT / device.kind.name).glob("*.elf"))
    if not images:
        folder = PREBUILT / device.kind.name
        raise ConfigError(f"there is no image in {folder} to check the board with; give one with --image")
    return load_image(images[0], device.kind)
