"""`hil battery`: how long a battery lasts with each variant of a run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.options import FILE
from harness.cli.tables import print_table
from harness.errors import ConfigError

if TYPE_CHECKING:
    from typing import Any

    from harness.power.battery import Duty

_NUMBERS = ("uJ/inference", "mean uA", "by inferences", "battery life")


@click.command()
@click.argument("run", type=FILE, default=Path("results/latest"))
@click.option("--capacity", type=float, required=True, metavar="MAH", help="Capacity of the battery, mAh.")
@click.option("--every", type=float, required=True, metavar="S", help="One inference each S seconds.")
@click.option("--sleep", type=float, required=True, metavar="UA", help="What the product draws in between, uA.")
@click.option("--usable", type=float, default=0.85, show_default=True, help="Share of the capacity that can be used.")
@click.option("--self-discharge", type=float, default=0.02, show_default=True, help="Share lost in a year by itself.")
def battery(run: Path, capacity: float, every: float, sleep: float, usable: float, self_discharge: float) -> None:
    """Estimate how long a battery lasts with each variant of RUN (default: results/latest)."""
    from harness.power.battery import Duty, assumptions
    from harness.schema import SIMULATED
    from harness.store import load_results
    from harness.store.place import unit_of
    from harness.store.results import plain_rows

    duty = Duty(capacity, every, sleep, usable, self_discharge)
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
    from harness.power.battery import estimate

    cells = [row["suite"], row["variant"], row["device"], f"{row['energy_uj']:.4g}"]
    try:
        life = estimate(row, duty)
    except ConfigError as error:
        return [*cells, "-", "-", str(error)]
    return [*cells, f"{life.average_ua:.4g}", f"{100 * life.inference_share:.1f} %", life.text]
