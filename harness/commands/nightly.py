"""`hil nightly`: a night of the farm, or what it would be."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.tables import print_table
from harness.config.nightly import load_nightly
from harness.errors import ConfigError
from harness.farm.host import Wish
from harness.farm.labgrid_inventory import with_places
from harness.farm.night import plan_cases
from harness.farm.nightly import run_night
from harness.report.gate import NIGHTLY_PARSERS
from harness.text.times import show_length

if TYPE_CHECKING:
    from harness.config import Lab


def run_nightly(lab: Lab, file: Path, results_dir: str | None, *, resume: bool, dry_run: bool) -> int:
    """Run a night, and return the exit code.

    Raises:
        ConfigError: devices.yaml or nightly.yaml is wrong, or a night is running here already.
        StoreError: the results can't be written.
    """
    nightly = load_nightly(file, NIGHTLY_PARSERS)
    store = lab.farm.store
    if results_dir is not None and "://" in results_dir:
        raise ConfigError(
            f"--results-dir {results_dir} must be a folder; `farm: {{store: URL}}` publishes finished runs"
        )
    usual = "results" if store is None or "://" in store else store
    folder = Path(usual if results_dir is None else results_dir)
    base = file.parent.resolve()
    if dry_run:
        cases = plan_cases(with_places(lab, nightly.devices), nightly, base, folder)
        rows = [
            (case.name, ", ".join(case.devices), "-" if case.seconds is None else f"{case.seconds:.0f} s")
            for case in cases
        ]
        print_table(f"A night of {len(cases)} cases", ("case", "boards", "took"), rows)
        click.echo(f"Budget: {show_length(nightly.budget)}")
        return 0
    outcome = run_night(Wish(lab, nightly, base, folder, resume, click.echo))
    if outcome is None:
        click.echo("There is no night to go on with.")
        return 0
    click.echo(outcome.summary, nl=False)
    return outcome.exit_code
