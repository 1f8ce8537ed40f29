"""`hil nightly`: a night of the farm, or what it would be."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.options import LAB, load_lab
from harness.cli.tables import print_table
from harness.text.times import show_length


@click.command()
@click.argument("file", type=click.Path(path_type=Path), default=Path("nightly.yaml"), metavar="[FILE]")
@click.option("--resume", is_flag=True, help="Only go on with a night that was cut off.")
@click.option("--dry-run", is_flag=True, help="Say what would be measured on which boards, and do nothing.")
@click.option("--results-dir", metavar="DIR", help="Default: the farm's store, else results.")
@click.option(
    "--scheduler", metavar="ADDRESS", help="The lab's, like tls://lab:8786. Default: `farm: {scheduler: ...}`."
)
@LAB
def nightly(
    file: Path,
    resume: bool,  # noqa: FBT001 (click passes it)
    dry_run: bool,  # noqa: FBT001 (click passes it)
    results_dir: str | None,
    scheduler: str | None,
    lab: str | None,
) -> None:
    """Run what FILE (default: nightly.yaml) says on the farm, within its budget, and report.

    It measures on the boards of this computer, or on those that `hil worker` offers to the lab's scheduler. It never
    runs twice at once on a host, and goes on where it stopped after a power cut.

    Ends with 0 if all is well, 1 if a case failed or got worse than allowed, 5 if nothing was measured, 6 if a limit
    can't be told, 7 if cases are left. See docs/nightly.md.
    """
    from harness.config.nightly import load_nightly
    from harness.errors import ConfigError
    from harness.farm.night import plan_cases
    from harness.farm.nightly import run_night
    from harness.farm.seats import Wish
    from harness.report.gate import NIGHTLY_PARSERS

    loaded, wanted = load_lab(lab), load_nightly(file, NIGHTLY_PARSERS)
    store = loaded.farm.store
    if results_dir is not None and "://" in results_dir:
        raise ConfigError(
            f"--results-dir {results_dir} must be a folder; `farm: {{store: URL}}` publishes finished runs"
        )
    usual = "results" if store is None or "://" in store else store
    folder = Path(usual if results_dir is None else results_dir)
    base = file.parent.resolve()
    if dry_run:
        cases = plan_cases(loaded.select(wanted.devices), wanted, base, folder)
        rows = [
            (case.name, ", ".join(case.devices), "-" if case.seconds is None else f"{case.seconds:.0f} s")
            for case in cases
        ]
        print_table(f"A night of {len(cases)} cases", ("case", "boards", "took"), rows)
        click.echo(f"Budget: {show_length(wanted.budget)}")
        return
    wish = Wish(loaded, wanted, base, folder, resume, click.echo, scheduler or loaded.farm.scheduler)
    outcome = run_night(wish)
    if outcome is None:
        click.echo("There is no night to go on with.")
        return
    click.echo(outcome.summary, nl=False)
    raise SystemExit(outcome.exit_code)
