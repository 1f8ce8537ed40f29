"""What is about boards: `hil devices`, `init`, `flash`, `doctor`, `renode` and `crosscheck`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from harness.cli.options import BACKEND, DEVICE, IMAGE, LAB, RESULTS, TIMEOUT, WAIT, load_lab, patience_of


@click.command()
@click.option(
    "--add", is_flag=False, flag_value="", metavar="[NAME]", help="Write what is attached and new into devices.yaml."
)
@click.option("--kind", metavar="KIND", help="With --add: which kind of board it is.")
@click.option("--probe", metavar="ID", help="With --add: the board behind this probe.")
@click.option("--port", metavar="PORT", help="With --add: the board's port (path, serial number or location).")
@LAB
def devices(add: str | None, kind: str | None, probe: str | None, port: str | None, lab: str | None) -> None:
    """List the configured devices, the kinds of boards, and what is attached; or add what is new."""
    from harness.commands.adding import Wish, add_attached
    from harness.commands.devices import show_devices

    if add is not None:
        add_attached(load_lab(lab), Wish(add or None, kind, probe, port))
    elif kind or probe or port:
        raise click.UsageError("--kind, --probe and --port go with --add")
    else:
        show_devices(load_lab(lab))


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), default=Path(), metavar="[DIR]")
def init(folder: Path) -> None:
    """Start a lab of your own in DIR (default: here): devices.yaml, a first suite, .gitignore."""
    from harness.commands.init import start_lab

    start_lab(folder)


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


@click.group()
def renode() -> None:
    """Renode, the emulator behind `--backend renode`."""


@renode.command("install")
@click.option("--sha256", metavar="HEX", help="What the release must have, instead of the pinned one.")
@click.option(
    "--sha256-file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="A file with its line, as sha256sum writes it.",
)
@click.option("--archive", type=click.Path(path_type=Path), metavar="FILE", help="Don't download: it is this file.")
@click.option("--if-missing", is_flag=True, help="Do nothing if Renode is found already.")
def renode_install(
    sha256: str | None,
    sha256_file: Path | None,
    archive: Path | None,
    if_missing: bool,  # noqa: FBT001 (click passes it)
) -> None:
    """Install the official portable release into your cache."""
    from harness.commands.renode import install_renode

    if sha256 and sha256_file:
        raise click.UsageError("--sha256 and --sha256-file exclude each other")
    install_renode(archive, sha256, sha256_file, if_missing=if_missing)


@click.command()
@click.argument("device")
@click.argument("first", type=click.Choice(["hardware", "renode", "virtual"]))
@click.argument("second", type=click.Choice(["hardware", "renode", "virtual"]))
@click.option(
    "--suite",
    "suites",
    type=click.Path(path_type=Path),
    multiple=True,
    metavar="FILE",
    help="On this suite (default: all in suites/).",
)
@click.option(
    "--samples", type=click.IntRange(1), metavar="N", help="Use only N inputs of each suite, of each class its share."
)
@RESULTS
@LAB
@WAIT
@TIMEOUT
def crosscheck(
    device: str,
    first: Any,
    second: Any,
    suites: tuple[Path, ...],
    samples: int | None,
    results_dir: Path,
    lab: str | None,
    wait: bool,  # noqa: FBT001 (click passes it)
    timeout: float | None,
) -> None:
    """Run suites of DEVICE on two backends, and compare predictions, outputs, instructions and RAM.

    \b
    hil crosscheck nano33 virtual renode

    Ends with 0 if all are equal, 1 if one differs, 6 if something that had to be compared could not be, because a case
    failed, for instance.
    """  # noqa: D301 (click reads the \b)
    from harness.commands.crosscheck import crosscheck_backends

    loaded = load_lab(lab)
    patience = patience_of(wait, timeout)
    raise SystemExit(
        crosscheck_backends(
            loaded, device, (first, second), suites, samples=samples, results_dir=results_dir, patience=patience
        )
    )
