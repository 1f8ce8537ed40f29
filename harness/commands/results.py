"""`hil results`: list, show, recover and tag runs."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.commands.printing import print_table
from harness.errors import ConfigError
from harness.report.baseline import tag_run
from harness.report.summary import render
from harness.store import find_run, list_runs, load_results, recover
from harness.store.fetch import is_cached, local
from harness.store.folders import pruned
from harness.store.place import boards_of, place_of, spelled
from harness.store.prune import prune
from harness.store.publish import publish
from harness.store.remote import is_url
from harness.store.results import plain_rows
from harness.store.runs import read_run_file
from harness.text.terminal import echo_styled
from harness.text.times import show_length

if TYPE_CHECKING:
    from datetime import timedelta
    from typing import Any

    from harness.store import RunInfo

_PLAIN_COLUMNS = 100


def show_runs(results_dir: Path) -> None:
    """Print a line for each run in a folder."""
    runs = list_runs(results_dir)
    if not runs:
        click.echo(f"{results_dir} holds no runs. Make one: pytest suites/ --device nano33")
        return
    print_table(str(results_dir), ("run", "state", "devices", "cases"), [_run_row(run) for run in runs])
    if any(run.state == "unfinished" for run in runs):
        click.echo("An unfinished run is still going, or was killed: then `hil results recover RUN` finishes it.")


def show_run(run: Path) -> None:
    """Print the tables of one run."""
    folder = find_run(run)
    about = read_run_file(folder)
    click.echo(f"{folder}: {about.get('state', 'unknown state')}, harness {about.get('harness_version', 'unknown')}\n")
    gone = pruned(about)
    if gone is not None:
        click.echo(f"{', '.join(gone.names)} were pruned on {gone.on}; the cases are kept.\n")
    rows = plain_rows(load_results(folder).cases)
    if not rows:
        click.echo("The run has no cases.")
        return
    color = sys.stdout.isatty()
    echo_styled(render(rows, width=shutil.get_terminal_size().columns if color else _PLAIN_COLUMNS, color=color))
    for row in rows:
        if row["verdict"] == "unchecked":
            click.echo(f"{row['variant']} on {row['device']}: {row['verdict_reason']}")


def recover_run(run: Path) -> None:
    """Finish a killed run and say what was in it."""
    folder = find_run(run)
    contents = recover(folder)
    if contents is None:
        click.echo(f"{folder}: its tables were complete; what was left of its journals is removed.")
        return
    rows = contents.rows()
    complete = sum(row["status"] == "complete" for row in rows)
    samples = sum(row["samples"] for row in rows)
    click.echo(f"{folder}: recovered {samples:,} samples; {complete} of {len(rows)} cases are complete.")
    for row in rows:
        if row["status"] != "complete":
            click.echo(f"  {row['variant']} on {row['device']}: {row['status']}: {row['reason']}")
    if contents.damaged_lines:
        click.echo(f"  {contents.damaged_lines} damaged lines of the journal were left out.")


def name_run(results_dir: Path, run: Path, name: str) -> None:
    """Tag a run and say so."""
    _refuse_copy(results_dir)
    before = tag_run(results_dir, run, name)
    moved = "" if before in (None, find_run(run).name) else f" (it was {before})"
    click.echo(f"{name} is {find_run(run).name}{moved}. Compare with it: hil compare --baseline {name}")


def prune_runs(results_dir: Path, older_than: timedelta, *, dry_run: bool) -> None:
    """Remove the raw data of old runs, or say what would be removed."""
    _refuse_copy(results_dir)
    found = prune(results_dir, older_than, dry_run=dry_run)
    for run in found:
        click.echo(f"{run.path.name}: {run.freed_bytes:,} bytes")
    if not found:
        click.echo(f"{results_dir}: no raw data is older than {show_length(older_than)}, or it is of tagged runs.")
        return
    total = f"{len(found)} run{'s' * (len(found) > 1)}, {sum(run.freed_bytes for run in found):,} bytes"
    done = "would be removed" if dry_run else "removed"
    click.echo(f"Raw data of {total} {done}. Their cases are kept.")


def locate(name: str, results_dir: Path) -> Path:
    """Return the path of a run that was given as a path or URL, or as a name in the results folder."""
    if is_url(name) or name.startswith("file://"):
        return local(name)
    return Path(name) if Path(name).exists() else results_dir / name


def publish_run(run: Path, store: str | None) -> None:
    """Copy a run into the store and say where it is."""
    if store is None:
        raise ConfigError("there is no store: name one with --store, or with `farm: {store: ...}` in devices.yaml")
    click.echo(f"Published: {publish(run, store)}")


def _refuse_copy(results_dir: Path) -> None:
    if is_cached(results_dir):
        raise ConfigError("a store behind a URL is only read; run this where its runs are kept, with --results-dir DIR")


def _run_row(run: RunInfo) -> tuple[str | None, ...]:
    if run.cases is None:
        return run.path.name, run.state, None, None
    places: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for case in plain_rows(run.cases):
        places.setdefault((place_of(case), case["backend"]), []).append(case)
    devices = sorted(f"{spelled(place, boards_of(cases))} ({backend})" for (place, backend), cases in places.items())
    counts = run.cases["status"].value_counts()
    cases = ", ".join(f"{count} {status}" for status, count in counts.items())
    state = f"{run.state}, pruned" if run.pruned else run.state
    return run.path.name, state, ", ".join(devices) or None, cases or "none"
