"""Options that several commands have, and what is meant by them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.config import Lab, find_lab
from harness.errors import ConfigError
from harness.locks.waiting import NOW, Patience
from harness.store.remote import is_url

if TYPE_CHECKING:
    from harness.config import Device


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


def patience_of(wait: bool, timeout: float | None) -> Patience:  # noqa: FBT001 (click passes it)
    """Return what `--wait` and `--timeout` mean; a limit alone says that waiting is wanted."""
    if not wait and timeout is None:
        return NOW
    return Patience(timeout, lambda text: click.echo(text, err=True))


def load_lab(lab: str | None) -> Lab:
    """Return the lab that `--lab` names, or the one of the current folder.

    Raises:
        ConfigError: its file is wrong.
    """
    return Lab.load(find_lab(lab, [Path()]))


def single_device(lab: Lab, selector: str) -> Device:
    """Return the one device that is meant.

    Raises:
        ConfigError: none or several are.
    """
    devices = lab.select([selector])
    if len(devices) != 1:
        raise ConfigError(f"{selector} means {', '.join(device.name for device in devices)}; name one of them")
    return devices[0]


def locate(name: str, results_dir: Path) -> Path:
    """Return the path of a run that was given as a path or URL, or as a name in the results folder."""
    if is_url(name) or name.startswith("file://"):
        return _folder(name)
    return Path(name) if Path(name).exists() else results_dir / name
