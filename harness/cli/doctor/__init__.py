"""`hil doctor`: is everything there, and what to do if not."""

from __future__ import annotations

import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import click
from pyocd.target import TARGET

from harness.boards.discover import attached_ports, attached_probes
from harness.boards.opening import Wanted, choose_backend
from harness.boards.start_image import check_chip, start_image
from harness.boards.usb import usb_devices
from harness.boards.virtual import VirtualNrf52840
from harness.cli.doctor.power import power_findings
from harness.cli.doctor.usb import usb_findings
from harness.cli.flash import flash_proof
from harness.cli.options import BACKEND, LAB, TIMEOUT, WAIT, load_lab, patience_of, single_device
from harness.cli.renode import renode_finding
from harness.config import shipped_kinds
from harness.errors import ConfigError, HilError
from harness.farm.access import opened
from harness.image.elf import load_image
from harness.link.client import Link
from harness.link.timing import Timing
from harness.measure.finding import Finding, State
from harness.measure.link_health import link_findings
from harness.text.escape import printable
from harness.text.terminal import echo_styled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from harness.boards.base import Board
    from harness.config import BoardKind, Device, Lab
    from harness.image.elf import Image
    from harness.locks.waiting import Patience

_MARKS: dict[State, tuple[str, str]] = {"ok": ("ok", "green"), "optional": ("--", "yellow"), "problem": ("!!", "red")}
_PREBUILT = Path("firmware/prebuilt")


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
    backend: Wanted,
    lab: str | None,
    wait: bool,  # noqa: FBT001 (click passes it)
    timeout: float | None,
) -> None:
    """Check everything that the harness needs, a line each, with the remedy."""
    healthy = True
    for finding in _findings(lambda: load_lab(lab), device, image, backend, patience_of(wait, timeout)):
        mark, color = _MARKS[finding.state]
        echo_styled(f"{click.style(mark, fg=color)}  {printable(f'{finding.what}: {finding.text}')}")
        healthy = healthy and finding.state != "problem"
    if not healthy:
        raise SystemExit(1)


def _findings(
    load_lab: Callable[[], Lab], device: str | None, image: Path | None, wanted: Wanted, patience: Patience
) -> Iterator[Finding]:
    yield Finding("ok", "Python", sys.version.split()[0])
    yield _lab_finding(load_lab)
    yield _unicorn_finding()
    yield from _pyocd_findings()
    yield _probes_finding()
    ports = [port for port in attached_ports() if port.serial or port.location]
    yield from usb_findings(ports, usb_devices())
    yield _prebuilt_finding()
    yield from power_findings(load_lab)
    yield _tool_finding("arm-none-eabi-gcc", "only needed to rebuild firmware", "apt install gcc-arm-none-eabi")
    yield renode_finding()
    if device is not None:
        yield from _device_findings(load_lab, device, image, wanted, patience)


def _lab_finding(load_lab: Callable[[], Lab]) -> Finding:
    try:
        lab = load_lab()
    except HilError as error:
        return Finding("problem", "Lab", str(error))
    where = f"{lab.path}: " if lab.path else "no devices.yaml here: "
    return Finding(
        "ok", "Lab", f"{where}{len(lab.devices)} devices; kinds: {', '.join(kind.name for kind in lab.kinds)}"
    )


def _pyocd_findings() -> Iterator[Finding]:
    version = metadata.version("pyocd")
    for kind in shipped_kinds().values():
        what = f"pyOCD {version}"
        if kind.pyocd_target in TARGET:
            yield Finding("ok", what, f"knows {kind.pyocd_target} ({kind.title})")
        else:
            yield Finding("problem", what, f"doesn't know {kind.pyocd_target}: pyocd pack install {kind.pyocd_target}")


def _unicorn_finding() -> Finding:
    what = f"Unicorn {metadata.version('unicorn')}"
    try:
        with VirtualNrf52840("doctor") as twin:
            return Finding("ok", what, f"the virtual board starts; {twin.counter_description}")
    except HilError as error:
        return Finding("problem", what, f"{error}; pip install --force-reinstall unicorn")


def _probes_finding() -> Finding:
    try:
        probes = attached_probes()
    except HilError as error:
        return Finding("problem", "Debug probes", str(error))
    if probes:
        return Finding("ok", "Debug probes", ", ".join(f"{probe.description} ({probe.uid})" for probe in probes))
    return Finding("optional", "Debug probes", "none attached; --device nano33 then uses the virtual board")


def _prebuilt_finding() -> Finding:
    images = sorted(_PREBUILT.glob("*/*.elf"))
    if not images:
        return Finding(
            "optional",
            "Prebuilt images",
            f"none in {_PREBUILT.absolute()}; run this in a lab folder (`hil init` makes one), or make images "
            "of models with `hil build`",
        )
    try:
        for path in images:
            load_image(path, shipped_kinds().get(path.parent.name))
    except HilError as error:
        return Finding("problem", "Prebuilt images", str(error))
    return Finding("ok", "Prebuilt images", f"{len(images)} in {_PREBUILT}, all readable")


def _tool_finding(tool: str, purpose: str, remedy: str) -> Finding:
    path = shutil.which(tool)
    if path is None:
        return Finding("optional", tool, f"not found; {purpose} ({remedy})")
    done = subprocess.run([path, "--version"], capture_output=True, text=True, check=False, timeout=20)  # noqa: S603
    return Finding("ok", tool, (done.stdout or done.stderr).strip().partition("\n")[0] or path)


def _device_findings(
    load_lab: Callable[[], Lab], name: str, image: Path | None, wanted: Wanted, patience: Patience
) -> Iterator[Finding]:
    """Check a board step by step; the first problem ends it."""
    try:
        device = single_device(load_lab(), name)
        backend, why = choose_backend(device, wanted)
        yield Finding("ok", device.name, f"backend {backend}: {why}")
        with opened(device, backend, patience=patience) as board:
            probe = f"probe {board.probe_uid} opened" if board.probe_uid else "no probe"
            yield Finding("ok", device.name, f"{probe}, port {board.port}, counts {board.counter}")
            yield from (Finding("optional", device.name, note) for note in board.notes)
            link = Link(board.link(), board.name, Timing(baud=device.kind.baud))
            yield from _link_findings(board, device, link, _image_for(device, backend, image))
    except HilError as error:
        yield Finding("problem", name, str(error).removeprefix(f"{name}: "))


def _link_findings(board: Board, device: Device, link: Link, image: Image | None) -> Iterator[Finding]:
    if image is None:
        board.reset()
        info = link.connect()
        check_chip(board, info)
    else:
        info = start_image(board, image, link)
        yield Finding("ok", device.name, f"flashed {image.path.name}, {flash_proof(board)}")
    yield Finding("ok", device.name, f"firmware answers: chip {info.chip_id:016X}, build id {info.build_id}")
    yield from link_findings(board, link, info)


def _image_for(device: Device, backend: str, image: Path | None) -> Image | None:
    """A real board keeps what it has unless an image was given; a virtual one comes empty."""
    if image is not None:
        return load_image(image, device.kind)
    return None if backend == "hardware" else load_image(_first_prebuilt(device.kind), device.kind)


def _first_prebuilt(kind: BoardKind) -> Path:
    images = sorted((_PREBUILT / kind.name).glob("*.elf"))
    if not images:
        raise ConfigError(
            f"there is no image in {_PREBUILT / kind.name} to check the board with; give one with --image"
        )
    return images[0]
