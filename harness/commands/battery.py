"""`hil battery`: how long a battery lasts with each variant of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from harness.commands.printing import print_table
from harness.errors import ConfigError
from harness.power.battery import Duty, assumptions, estimate
from harness.schema import SIMULATED
from harness.store import load_results
from harness.store.place import unit_of
from harness.store.results import plain_rows

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

_NUMBERS = ("uJ/inference", "mean uA", "by inferences", "battery life")


def show_life(run: Path, duty: Duty) -> None:
    """Print a table for each source of energy in a run, and what the estimates take for granted.

    Raises:
        ConfigError: no case of the run has energy.
        StoreError: the run can't be read.
    """
    rows = [row for row in plain_rows(load_results(run).cases) if row["status"] == "complete"]
    known = [row for row in rows if row["energy_uj"] is not None]
    if not known:
        reasons = sorted({str(row["energy_reason"]) for row in rows}) or ["no case is complete"]
        raise ConfigError(f"{run}: no case has energy ({'; '.join(reasons)})")
    for source in sorted({row["power_source"] for row in known}):
        simulated = source == SIMULATED
        title = "battery life from SIMULATED energy" if simulated else f"battery life (energy by {source})"
        mine = [row for row in known if row["power_source"] == source]
        print_table(title, ("suite", "variant", "device", *_NUMBERS), [_cells(row, duty) for row in mine], _NUMBERS)
        units = {unit_of(row) for row in mine if row["pool"]}
        if not simulated and len(units) > 1:
            click.echo(f"Measured on {len(units)} units of the board: differences between units are in these figures.")
        if simulated:
            click.echo("The energy is simulated from data sheet figures: this shows the calculation, and no product.")
    for row in rows:
        if row["energy_uj"] is None:
            click.echo(f"{row['variant']} on {row['device']} has no energy: {row['energy_reason']}")
    click.echo("An estimate, which assumes:")
    for sentence in assumptions(duty):
        click.echo(f"  - {sentence}")


def _cells(row: dict[str, Any], duty: Duty) -> list[str]:
    keys = [row["suite"], row["variant"], row["device"]]
    try:
        life = estimate(row, duty)
    except ConfigError as error:
        return [*keys, f"{row['energy_uj']:.4g}", "-", "-", str(error)]
    share = f"{100 * life.inference_share:.1f} %"
    return [*keys, f"{row['energy_uj']:.4g}", f"{life.average_ua:.4g}", share, life.text]
