"""`hil init`: a lab folder of the user's own that works at once."""

from __future__ import annotations

from pathlib import Path

import click

from harness.errors import ConfigError, StoreError
from harness.files.starter import starter_files, starter_root

_DEVICES = """\
# The boards of this lab. Without an entry, `--device nano33` uses the virtual board.
# `hil devices` shows what is attached, `hil devices --add` writes it here.
#
#   devices:
#     nano33-a:                      # the name that --device and the results use
#       kind: nano33                 # `hil devices` lists the kinds
#       probe: "0240000034544e45"    # unique id of the debug probe, or, if it has no serial number,
#       # probe: "usb:1-1.2"         # where it is plugged in
#       port: {serial: "9A8B7C6D5E4F3021"}   # USB serial number of the serial port, or
#       # port: {location: "1-1.2"}          # where it is plugged in
#       tags: [bench]                # --device bench takes every device with this tag
devices: {}
"""
_GITIGNORE = """\
results/
.venv/
__pycache__/
.pytest_cache/
"""


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), default=Path(), metavar="[DIR]")
def init(folder: Path) -> None:
    """Start a lab of your own in DIR (default: here): devices.yaml, a first suite, .gitignore."""
    root = starter_root()
    contents = {path: (root / path).read_bytes() for path in starter_files()}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        fresh = _create(folder / "devices.yaml", _DEVICES.encode())
        written = sum(_create(folder / path, content) for path, content in contents.items())
        ignored = _create(folder / ".gitignore", _GITIGNORE.encode())
    except OSError as error:
        raise StoreError(f"{error.filename or folder}: can't be written: {error.strerror}") from error
    click.echo(f"devices.yaml: {'written' if fresh else 'was there, left as it is'}")
    kept = len(contents) - written
    left = f", {kept} that were there left as they are" if kept else ""
    click.echo(f"suites and images: {written} files written{left}")
    click.echo(f".gitignore: {'written' if ignored else 'was there, left as it is'}")
    if fresh:
        _add_boards(folder / "devices.yaml")
    go = "" if folder.resolve() == folder.cwd() else f"cd {folder} && "
    click.echo(f"\nRun the first benchmark: {go}pytest suites/ --device nano33")


def _create(path: Path, content: bytes) -> bool:
    """Write a file unless something has that name; say whether it was written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("xb") as file:
            file.write(content)
    except FileExistsError:
        return False
    return True


def _add_boards(devices: Path) -> None:
    """Write down the boards that are attached, as far as it is certain what they are."""
    from harness.cli.devices.adding import Attached, Wish, add_attached
    from harness.config import Lab

    attached = Attached.look()
    if not attached.probes:
        click.echo("No debug probe is attached: --device nano33 uses the virtual board.")
        return
    try:
        add_attached(Lab.load(devices), Wish())
    except ConfigError as error:
        click.echo(f"No board was added: {error}")
