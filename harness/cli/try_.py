"""`hil try`: what a model costs on a board, with nothing but its .tflite file."""

from __future__ import annotations

import json
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from harness.cli.options import AS_JSON, BACKEND, FILE, LAB, RESULTS, load_lab, single_device, waits
from harness.errors import ConfigError
from harness.files.starter import firmware_root

if TYPE_CHECKING:
    from harness.boards.backends import Wanted
    from harness.config import BoardKind, Device, Suite
    from harness.image.elf import Image
    from harness.locks.waiting import Patience
    from harness.profile.layers import Profile

#: Between two lines of progress.
_EVERY_S: Final = 2.0
_RAM = ("static", "arena", "stack", "heap")


@click.command("try")
@click.argument("model", type=FILE, metavar="MODEL.tflite")
@click.option("--board", metavar="KIND", help="The kind of board; `hil devices` lists them.")
@click.option("--device", metavar="NAME", help="A device of the lab instead of any board of that kind.")
@BACKEND
@click.option("--inputs", type=click.IntRange(1), default=10, show_default=True, metavar="N", help="So many inputs.")
@click.option("--keep", is_flag=True, help="Leave the run in the results folder, like one of pytest.")
@RESULTS
@AS_JSON
@LAB
@waits
def try_(
    *,
    model: Path,
    board: str | None,
    device: str | None,
    backend: Wanted,
    inputs: int,
    keep: bool,
    results_dir: Path,
    as_json: bool,
    lab: str | None,
    patience: Patience,
) -> None:
    """Build MODEL.tflite, flash it, and measure it on random inputs: flash, RAM, time, layers.

    \b
    hil try model.tflite --board nano33
    hil try model.tflite --device bench-1 --json

    Nothing else is needed: no data and no suite. Inputs are drawn in the range of the input tensor (float32: 0 to 1),
    always the same ones, so nothing is said of accuracy; `hil init --model` begins a suite that does. Needs
    arm-none-eabi-gcc, or avr-gcc for an Arduino Uno.
    """  # noqa: D301 (click reads the \b)
    from harness.build.first_suite import first_suite
    from harness.build.making import Making, compile_model, working_folder
    from harness.build.sources import target_for
    from harness.build.toolchain import find_toolchain
    from harness.cli.build import model_name
    from harness.config import find_lab, load_suite

    loaded = load_lab(lab)
    chosen = _device(single_device(loaded, device or board or _missing()), board)
    target = target_for(chosen.kind, loaded.kinds, firmware_root().resolve())
    making = Making(target, find_toolchain(target.cross))
    name = model_name(None, model.stem)
    with working_folder() as work:
        click.echo(f"Compiling {model.name} for {chosen.kind.name}, {making.toolchain.version}", err=True)
        (work / chosen.kind.name).mkdir()
        made = compile_model(model, making, work / chosen.kind.name / f"{name}.elf", name)
        path = work / "suite.yaml"
        path.write_text(first_suite(made.image.card, name, inputs=inputs, images="."), encoding="utf-8")
        asked = _Asked(chosen.name, backend, find_lab(lab, [Path()]), patience)
        with tempfile.TemporaryDirectory(dir=work) as scratch:
            row, profile, where = _measure(load_suite(path), made.image, asked, results_dir if keep else Path(scratch))
    if as_json:
        click.echo(json.dumps(_content(row, profile, model, inputs, results_dir if keep else None), indent=2))
        return
    _print(row, profile, chosen.kind, where)
    click.echo(made.checked)
    click.echo(f"Kept: {results_dir / row['run']}" if keep else "Nothing was kept: --keep leaves a run in results/.")


def _missing() -> str:
    raise click.UsageError("say where: --board KIND, like --board nano33, or --device NAME")


def _device(device: Device, board: str | None) -> Device:
    """Return the device, if it is of the kind that was asked for."""
    if board not in (None, device.kind.name, device.name):
        raise ConfigError(f"{device.name} is a {device.kind.name}, not a {board}; leave out --board")
    return device


@dataclass(frozen=True)
class _Asked:
    """Where and how it is to be measured."""

    device: str
    backend: Wanted
    lab_file: Path | None
    patience: Patience


def _measure(suite: Suite, image: Image, asked: _Asked, results_dir: Path) -> tuple[dict[str, Any], Profile, str]:
    """Measure the only variant of a suite, then where an inference spends its time on the board that is still open.

    Returns:
        The case's row, the profile, and which board that was, in words.

    Raises:
        HilError: it can't be measured.
    """
    from harness.farm.lab_access import LabAccess
    from harness.profile.inputs import random_input
    from harness.profile.layers import profile_image
    from harness.run.options import Options
    from harness.run.session import Session

    options = Options((asked.device,), asked.backend, asked.lab_file, results_dir, None, 2, patience=asked.patience)
    session = Session.build(options, LabAccess.of(options))
    (target,) = session.targets
    where = f"{target.name} on {target.backend} ({target.whys[0]})"
    click.echo(where, err=True)
    tensors = b"".join(random_input(spec).data for spec in image.card.inputs)
    session.suites[suite.path] = suite
    with closing(session):
        row, _ = session.measure(target, suite, suite.variants[0], _Progress())
        profile = profile_image(session.boards.board(target.devices[0]), image, tensors)
    return row, profile, where


class _Progress:
    """Says now and then how far it is."""

    def __init__(self) -> None:
        self._said = time.monotonic()

    def __call__(self, stage: str, done: int, total: int) -> None:
        if time.monotonic() - self._said > _EVERY_S:
            click.echo(f"  {stage}: {done:,} of {total:,}", err=True)
            self._said = time.monotonic()


def _print(row: dict[str, Any], profile: Profile, kind: BoardKind, where: str) -> None:
    from harness.cli.made import used_of
    from harness.cli.profile import print_profile
    from harness.report import numbers

    click.echo(f"{where}.")
    click.echo(f"{row['samples']} inputs: {row['inputs_note'] or 'random'}. Nothing is known of accuracy.")
    click.echo(f"Flash: {used_of(row['flash_bytes'], kind.flash.size)}.")
    if row["ram_peak_bytes"] is None:
        click.echo(f"RAM: {row['ram_reason']}.")
    else:
        parts = ", ".join(f"{part} {row[f'ram_{part}_bytes']:,}" for part in _RAM)
        click.echo(f"RAM: {used_of(row['ram_peak_bytes'], kind.ram_bytes)}: {parts}.")
    ticks = [numbers.count(row[f"ticks_{name}"]) for name in ("median", "min", "max")]
    click.echo(f"{row['counter'].capitalize()} per inference: {ticks[0]} (median; {ticks[1]} to {ticks[2]}).")
    if row["latency_us_median"] is not None:
        click.echo(f"Latency: {row['latency_us_median']:,.1f} us (median) at {row['clock_hz'] / 1e6:g} MHz.")
    if row["energy_uj"] is not None:
        click.echo(f"Energy: {row['energy_uj']:.4g} uJ per inference ({row['power_source']}).")
    click.echo()
    print_profile(profile, f"{row['variant']}, one inference by layer")


def _content(
    row: dict[str, Any], profile: Profile, model: Path, inputs: int, results_dir: Path | None
) -> dict[str, Any]:
    """Return what --json prints: the case's columns that have a figure, and the layers as `hil profile` has them."""
    from harness.config.subset import SEED
    from harness.profile.content import layers_content

    left_out = ("run", "case", "suite", "variant", "technique", "status", "samples", "started_utc", "config_sha256")
    figures = {name: value for name, value in row.items() if value is not None and name not in left_out}
    return {
        "model": str(model),
        "inputs": {"random": inputs, "seed": SEED},
        "accuracy": None,
        "run": None if results_dir is None else str(results_dir / row["run"]),
        **figures,
        "profile": layers_content(profile),
    }
