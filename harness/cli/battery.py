"""`hil battery`: how long a battery lasts with each variant of a run."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("run", type=click.Path(path_type=Path), default=Path("results/latest"))
@click.option("--capacity", type=float, required=True, metavar="MAH", help="Capacity of the battery, mAh.")
@click.option("--every", type=float, required=True, metavar="S", help="One inference each S seconds.")
@click.option("--sleep", type=float, required=True, metavar="UA", help="What the product draws in between, uA.")
@click.option("--usable", type=float, default=0.85, show_default=True, help="Share of the capacity that can be used.")
@click.option("--self-discharge", type=float, default=0.02, show_default=True, help="Share lost in a year by itself.")
def battery(run: Path, capacity: float, every: float, sleep: float, usable: float, self_discharge: float) -> None:
    """Estimate how long a battery lasts with each variant of RUN (default: results/latest)."""
    from harness.commands.battery import show_life
    from harness.power.battery import Duty

    show_life(run, Duty(capacity, every, sleep, usable, self_discharge))
