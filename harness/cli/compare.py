"""`hil compare`: variants of a run, two runs, two boards, or a run and its baseline."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from harness.cli.options import READ_RESULTS

if TYPE_CHECKING:
    from pathlib import Path


@click.command()
@click.argument("runs", nargs=-1, metavar="[RUN_A] [RUN_B]")
@click.option("--baseline", metavar="WHAT", help="Tag, run, git revision, latest, or history:N (the last N nights).")
@click.option(
    "--device",
    "devices",
    multiple=True,
    metavar="NAME",
    help="Only what it (a pool's name: its boards) measured. Given twice: compare the two.",
)
@click.option("--fail-on", metavar="LIMITS", help='Like "latency>2%,peak_ram>0,accuracy<-0.5%".')
@click.option("--margin", "margins", metavar="LEAST", help='Least differences that matter, like "ticks=0.5%".')
@click.option("--across-engines", is_flag=True, help="Compare cases of different inference engines, too.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@READ_RESULTS
def compare(
    runs: tuple[str, ...],
    baseline: str | None,
    devices: tuple[str, ...],
    fail_on: str | None,
    margins: str | None,
    across_engines: bool,  # noqa: FBT001 (click passes it)
    as_json: bool,  # noqa: FBT001 (click passes it)
    results_dir: Path,
) -> None:
    """Say what differs, by how much, and whether it is real.

    \b
    hil compare                        each variant of the latest run with its baseline
    hil compare RUN_A RUN_B            the cases of RUN_B with those of RUN_A
    hil compare --baseline main        the latest run with the one tagged main, or of that git revision
    hil compare --device a             each variant that board a, or the boards of pool a, measured
    hil compare --device a --device b  the latest run's board b with its board a

    Ends with 0 if no limit is exceeded, 1 for a regression, 5 if there is nothing to compare, 6 if it can't be told.
    See docs/comparing.md.
    """  # noqa: D301 (click reads the \b)
    from harness.commands.compare import Wish
    from harness.commands.compare import compare as run
    from harness.errors import ConfigError

    if len(runs) > 2:
        raise click.UsageError("two runs at most can be compared")
    wish = Wish(runs, baseline, devices, fail_on, margins, across_engines, as_json, results_dir)
    try:
        code = run(wish)
    except ConfigError as error:
        raise click.UsageError(str(error)) from error
    raise SystemExit(code)
