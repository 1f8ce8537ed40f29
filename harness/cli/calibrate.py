"""`hil calibrate`: by how much the costs that estimates of cycles count are off on a board."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from harness.cli.options import BACKEND, DEVICE, FILE, IMAGE, LAB, load_lab, single_device, waits
from harness.cli.tables import print_table

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from harness.boards.backends import Wanted
    from harness.config.chip import FlashTiming
    from harness.locks.waiting import Patience
    from harness.measure.calibration import Calibration

_TELLING: Final = 0.01  # share of a loop's cycles that is worth naming


@click.command()
@IMAGE
@DEVICE
@BACKEND
@click.option(
    "--keep", type=FILE, metavar="FILE", help="Write the costs of this board, for `hil profile --costs FILE`."
)
@LAB
@waits
def calibrate(
    *, image: Path, device: str, backend: Wanted, keep: Path | None, lab: str | None, patience: Patience
) -> None:
    """Say by how much the costs that estimates of cycles count are off on DEVICE.

    IMAGE is made by `make -C firmware/calibrate BOARD=KIND`: loops of one kind of instruction each. The virtual board
    tells what happens in them, DEVICE how many cycles they take. It has to be a real board: emulated ones count
    instructions.
    """
    from harness.boards.backends import choose_backend
    from harness.errors import ConfigError
    from harness.farm.lab_access import opened
    from harness.image.elf import load_image
    from harness.measure.calibration import calibrate as solve
    from harness.measure.calibration import costs_of_kind, read_cycles, read_loops

    chosen = single_device(load_lab(lab), device)
    where, why = choose_backend(chosen, backend)
    if where != "hardware":
        raise ConfigError(
            f"{chosen.name} is emulated here ({why}): its counter counts instructions, not cycles, so there is nothing "
            "to calibrate by; attach the board"
        )
    loaded = load_image(image, chosen.kind)
    click.echo(f"{chosen.name} on {where} ({why})")
    loops = read_loops(chosen.kind, loaded)
    costs, flash = costs_of_kind(chosen.kind)
    with opened(chosen, where, patience=patience) as board:
        cycles = read_cycles(board, loaded)
    found = solve(loops, cycles, costs)
    _print(found, costs, chosen.name)
    if keep is not None:
        _keep(keep, found, costs, flash, f"hil calibrate on {chosen.name}, image {loaded.build_id}")


def _print(found: Calibration, costs: Mapping[str, float], name: str) -> None:
    told = {cost: off for cost, off in found.off.items() if off is not None}
    rows = [
        (
            cost,
            f"{costs[cost]:g}",
            f"{round(costs[cost] + off, 2) + 0.0:.2f}",
            f"{off:+.2f}" if abs(off) >= _TELLING / 2 else "0",
        )
        for cost, off in sorted(told.items(), key=lambda item: -abs(item[1]))
    ]
    headings = ("cost", "in the model", "on the board", "off by")
    print_table(f"costs in cycles on {name}", headings, rows, right=headings[1:])
    if untold := sorted(set(found.off) - set(told)):
        click.echo(f"These loops can't tell: {', '.join(untold)}.")
    for loop, share in found.unexplained.items():
        if share >= _TELLING:
            click.echo(f"No change of costs explains {100 * share:.1f} % of the cycles of the loop {loop}.")


def _keep(file: Path, found: Calibration, costs: Mapping[str, float], flash: FlashTiming | None, source: str) -> None:
    import yaml

    from harness.errors import StoreError
    from harness.measure.calibration import kept

    text = yaml.safe_dump(kept(found, costs, flash, source).model_dump(exclude_none=True, mode="json"), sort_keys=False)
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise StoreError(f"{file} can't be written: {error.strerror}") from error
    click.echo(f"Kept: {file}")
