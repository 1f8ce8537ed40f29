"""`hil compare`: variants of a run, two runs, two boards, or a run and its baseline."""

from __future__ import annotations

import json
import re
import shutil
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from harness.commands.results import locate
from harness.errors import ConfigError, StoreError
from harness.report.baseline import find_baseline
from harness.report.compare import compare_boards, compare_history, compare_runs, compare_variants
from harness.report.frame import Comparison, Policy
from harness.report.gate import EXIT_CODES, Gate, Limit, check_limits, parse_limits
from harness.report.metrics import ALIASES, METRICS, USUAL
from harness.report.text import plain_comparison, render_comparison, render_gate
from harness.store import find_run, load_results
from harness.store.read import Results, join_results

if TYPE_CHECKING:
    from pathlib import Path

    from harness.report.history import Series

_PLAIN_COLUMNS = 120
_MARGIN = re.compile(r"\s*([A-Za-z_][\w-]*)\s*=\s*(\d+\.?\d*|\.\d+)\s*(%|)\s*")


@dataclass(frozen=True)
class Wish:
    """What the user asked for, as it was written."""

    runs: tuple[str, ...]
    baseline: str | None
    devices: tuple[str, ...]
    fail_on: str | None
    margins: str | None
    across_engines: bool
    as_json: bool
    results_dir: Path


def compare(wish: Wish) -> int:
    """Print a comparison and what came of the limits; returns the exit code.

    Raises:
        ConfigError: a limit or margin can't be understood, or the options don't go together.
    """
    limits = parse_limits(wish.fail_on) if wish.fail_on is not None else ()
    policy = make_policy(limits, wish.margins, across_engines=wish.across_engines)
    try:
        comparison, series = _compare(wish, policy)
    except StoreError as error:
        click.echo(f"hil: no data: {error}", err=True)
        return EXIT_CODES["no data"]
    gate = check_limits(comparison, limits, series) if limits else None
    if wish.as_json:
        click.echo(json.dumps(plain_comparison(comparison, gate, series), indent=2, allow_nan=False))
    else:
        _show(comparison, gate, series)
    if gate is not None:
        return gate.exit_code
    return EXIT_CODES["ok" if comparison.rows else "no data"]


def make_policy(limits: tuple[Limit, ...], margins: str | None, *, across_engines: bool = False) -> Policy:
    """Return how to decide: the usual metrics and those that have limits.

    Raises:
        ConfigError: a margin can't be understood.
    """
    metrics = dict.fromkeys((*USUAL, *(limit.metric.name for limit in limits)))
    chosen = parse_margins(margins) if margins else {}
    return Policy(metrics=tuple(dict.fromkeys((*metrics, *chosen))), margins=chosen, across_engines=across_engines)


def parse_margins(text: str) -> dict[str, float]:
    """Read least differences of interest like `ticks=0.5%,accuracy=1%,flash=512`.

    Raises:
        ConfigError: one can't be understood.
    """
    margins = {}
    for part in text.split(","):
        found = _MARGIN.fullmatch(part)
        name = ALIASES.get(found[1], found[1]) if found else ""
        metric = METRICS.get(name)
        if found is None or metric is None or bool(found[3]) == (metric.unit == "bytes"):
            raise ConfigError(
                f'"{part.strip()}" is no least difference; write them like ticks=0.5%,accuracy=1%,flash=512, for '
                f"{', '.join(METRICS)}"
            )
        margins[name] = float(found[2]) / (100 if found[3] else 1)
    return margins


def against_baseline(
    current: Results, run: Path, wanted: str, results_dir: Path, policy: Policy
) -> tuple[Comparison, tuple[Series, ...]]:
    """Compare a run with a baseline.

    Args:
        current: the run's results.
        run: its folder.
        wanted: the baseline, as `find_baseline` takes it.
        results_dir: where runs are.
        policy: how to decide.

    Raises:
        StoreError: there is no such baseline.
    """
    found = find_baseline(wanted, results_dir, run)
    if found.nights is not None:
        return compare_history(found.results, current, policy)
    return compare_runs(found.results, current, policy), ()


def _compare(wish: Wish, policy: Policy) -> tuple[Comparison, tuple[Series, ...]]:
    folders = [find_run(locate(run, wish.results_dir)) for run in wish.runs or ("latest",)]
    if len(set(folders)) < len(folders):
        raise ConfigError(f"{wish.runs[0]} and {wish.runs[1]} are the same run")
    loaded = [load_results(folder) for folder in folders]
    if wish.baseline is not None:
        if len(folders) > 1:
            raise ConfigError("with --baseline, give only the run that is held against it")
        return against_baseline(loaded[0], folders[0], wish.baseline, wish.results_dir, policy)
    if wish.devices:
        if len(wish.devices) != 2 or wish.devices[0] == wish.devices[1]:
            raise ConfigError("--device is given twice: the baseline, and the board that is held against it")
        joined = loaded[0] if len(loaded) == 1 else join_results(loaded[0], loaded[1])
        return compare_boards(joined, wish.devices[0], wish.devices[1], policy), ()
    if len(loaded) == 2:
        return compare_runs(loaded[0], loaded[1], policy), ()
    return compare_variants(loaded[0], policy), ()


def _show(comparison: Comparison, gate: Gate | None, series: tuple[Series, ...]) -> None:
    color = sys.stdout.isatty()
    width = shutil.get_terminal_size().columns if color else _PLAIN_COLUMNS
    click.echo(render_comparison(comparison, width=width, color=color, series=series))
    if gate is not None:
        click.echo()
        for line in render_gate(gate):
            click.echo(line)
