"""`hil compare`: variants of a run, two runs, two boards, or a run and its baseline."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from harness.cli.options import AS_JSON, READ_RESULTS, locate, wishes
from harness.cli.tables import styled_width
from harness.errors import ConfigError, StoreError
from harness.text.terminal import echo_styled

if TYPE_CHECKING:
    from pathlib import Path

    from harness.config.pick import Wish
    from harness.report.frame import Comparison, Policy
    from harness.report.history import Series
    from harness.store.results import Results


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
@AS_JSON
@READ_RESULTS
@wishes
def compare(runs: tuple[str, ...], **options: Any) -> None:
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
    if len(runs) > 2:
        raise click.UsageError("two runs at most can be compared")
    raise SystemExit(_run(runs, **options))


def _run(
    runs: tuple[str, ...],
    fail_on: str | None,
    margins: str | None,
    *,
    across_engines: bool,
    as_json: bool,
    wish: Wish,
    **what: Any,
) -> int:
    """Print a comparison, what came of the limits and which variant to ship, and return the exit code."""
    from harness.report.gate import EXIT_CODES, check_limits, make_policy, parse_limits
    from harness.report.pick import lines, picks
    from harness.report.side_by_side import MEANING, across_boards
    from harness.report.text import plain_comparison, render_comparison, render_gate

    limits = parse_limits(fail_on) if fail_on is not None else ()
    policy = make_policy(limits, margins, across_engines=across_engines)
    try:
        comparison, series, current = _compare(runs, policy, **what)
    except StoreError as error:
        click.echo(f"hil: no data: {error}", err=True)
        return EXIT_CODES["no data"]
    gate = check_limits(comparison, limits, series) if limits else None
    picked = picks(current, wish, policy)
    if as_json:
        click.echo(json.dumps(plain_comparison(comparison, gate, series, picked), indent=2, allow_nan=False))
    else:
        width, color = styled_width()
        echo_styled(render_comparison(comparison, width=width, color=color, series=series))
        for line in ("", *render_gate(gate)) if gate is not None else ():
            click.echo(line)
        found = across_boards(current) if comparison.kind == "variants" else []
        for line in [line for one in found for line in ("", *one.lines)] + (["", MEANING] if found else []):
            echo_styled(line)
        for line in lines(picked):
            echo_styled(f"\n{line}")
    if gate is not None:
        return gate.exit_code
    return EXIT_CODES["ok" if comparison.rows else "no data"]


def _compare(
    runs: tuple[str, ...], policy: Policy, baseline: str | None, devices: tuple[str, ...], results_dir: Path
) -> tuple[Comparison, tuple[Series, ...], Results]:
    """Return the comparison, the history that it rests on, and the results that are held against the baseline."""
    from harness.report.baseline import against_baseline
    from harness.report.compare import compare_boards, compare_runs, compare_variants
    from harness.store import find_run, load_results
    from harness.store.results import join_results

    folders = [find_run(locate(run, results_dir)) for run in runs or ("latest",)]
    if len(set(folders)) < len(folders):
        raise ConfigError(f"{runs[0]} and {runs[1]} are the same run")
    loaded = [load_results(folder) for folder in folders]
    only = devices[0] if len(devices) == 1 else None
    if only is not None:
        loaded = [results.of_device(only) for results in loaded]
    if baseline is not None:
        if len(folders) > 1:
            raise ConfigError("with --baseline, give only the run that is held against it")
        return *against_baseline(loaded[0], folders[0], baseline, results_dir, policy, device=only), loaded[0]
    if devices and only is None:
        if len(devices) != 2 or devices[0] == devices[1]:
            raise ConfigError("--device is given once, or twice: the baseline, and the board that is held against it")
        joined = loaded[0] if len(loaded) == 1 else join_results(loaded[0], loaded[1])
        return compare_boards(joined, devices[0], devices[1], policy), (), joined
    if len(loaded) == 2:
        return compare_runs(loaded[0], loaded[1], policy), (), loaded[1]
    return compare_variants(loaded[0], policy), (), loaded[0]
