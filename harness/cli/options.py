"""Options that several commands have, and what is meant by them.

What reads them is imported when it is called: `hil NAME --help` needs click alone.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.errors import ConfigError
from harness.locks.waiting import NOW, Patience

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.config import Device, Lab


def _folder(value: str | Path) -> Path:
    if not isinstance(value, str) or ":" not in value:
        return Path(value)
    from harness.store.fetch import local

    return local(value)


FILE = click.Path(path_type=Path)
LAB = click.option("--lab", metavar="FILE", help="The lab's boards (default: devices.yaml, if there is one).")
DEVICE = click.option("--device", required=True, metavar="NAME", help="A device of the lab, or a kind of board.")
BACKEND = click.option(
    "--backend", type=click.Choice(["auto", "hardware", "renode", "virtual"]), default="auto", show_default=True
)
IMAGE = click.argument("image", type=FILE)
SAMPLES = click.option(
    "--samples", type=click.IntRange(1), metavar="N", help="Use only N inputs of each suite, of each class its share."
)
AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
RESULTS = click.option("--results-dir", type=FILE, default=Path("results"), show_default=True, metavar="DIR")
#: For what only reads. The runs of a store behind a URL are fetched into this user's cache.
READ_RESULTS = click.option(
    "--results-dir", type=_folder, default=Path("results"), show_default=True, metavar="DIR|URL"
)


#: For what shows estimated cycles.
SHOW_ESTIMATED_TIME = click.option(
    "--show-estimated-time",
    "estimated_time",
    is_flag=True,
    help="Show estimated cycles as milliseconds, too, with their range if it is known; no latency (docs/cycles.md).",
)


def wishes(command: Callable[..., None]) -> Callable[..., None]:
    """Add what a user may ask of the variant to ship to a command, which gets it as `wish`."""

    @click.option(
        "--axis", metavar="AXIS", help="What it has to be cheap in: ticks, latency, energy, peak_ram or flash."
    )
    @click.option(
        "--tolerance", metavar="X", help="How much worse than the best it may be, like 1% (default: the suite's)."
    )
    @click.option(
        "--budget", metavar="BOUNDS", help='What it has to keep to, like "ram<=32k,latency<=5ms,accuracy>=0.9".'
    )
    @functools.wraps(command)
    def wishing(*args: Any, axis: str | None, tolerance: str | None, budget: str | None, **options: Any) -> None:
        from harness.config.pick import Wish

        try:
            command(*args, wish=Wish.read(axis, tolerance, budget), **options)
        except ConfigError as error:
            raise click.UsageError(str(error)) from error

    return wishing


def waits(command: Callable[..., None]) -> Callable[..., None]:
    """Add `--wait` and `--timeout` to a command, which gets what they mean as `patience`.

    A limit alone says that waiting is wanted. It also has the name that it has in pytest, where another plugin has
    `--timeout`.
    """

    @click.option("--wait", is_flag=True, help="Wait for a board that somebody else uses.")
    @click.option(
        "--timeout",
        "--wait-timeout",
        "timeout",
        type=click.FloatRange(min=0),
        metavar="SECONDS",
        help="Wait so long at most (default: no limit).",
    )
    @functools.wraps(command)
    def waiting(*args: Any, wait: bool, timeout: float | None, **options: Any) -> None:
        command(*args, patience=_patience(wait=wait, timeout=timeout), **options)

    return waiting


def _patience(*, wait: bool, timeout: float | None) -> Patience:
    if not wait and timeout is None:
        return NOW
    return Patience(timeout, lambda text: click.echo(text, err=True))


def load_lab(lab: str | None) -> Lab:
    """Return the lab that `--lab` names, or the one of the current folder.

    Raises:
        ConfigError: its file is wrong.
    """
    from harness.config import Lab, find_lab

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
    from harness.store.remote import is_url

    if is_url(name) or name.startswith("file://"):
        return _folder(name)
    return Path(name) if Path(name).exists() else results_dir / name
