"""`hil results`: list, show, recover, tag, publish, prune and export runs."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING

import click

from harness.cli.options import FILE, LAB, READ_RESULTS, SHOW_ESTIMATED_TIME, load_lab, locate
from harness.cli.tables import print_table, styled_width
from harness.errors import ConfigError, ReservationError, StoreError
from harness.files.replacing import replacing
from harness.schema import TABLES
from harness.text.escape import csv_text
from harness.text.terminal import echo_data, echo_styled
from harness.text.times import parse_duration, show_length

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import Any, TextIO

    import pandas as pd

    from harness.store import Results, RunInfo

#: Rows that are written at a time.
_CHUNK_ROWS = 65_536


@click.group(invoke_without_command=True)
@READ_RESULTS
@click.pass_context
def results(ctx: click.Context, results_dir: Path) -> None:
    """List the runs in a results folder; show, recover, tag or export one."""
    ctx.obj = results_dir
    if ctx.invoked_subcommand is None:
        _show_runs(results_dir)


@results.command()
@click.argument("run", default="latest")
@SHOW_ESTIMATED_TIME
@click.pass_obj
def show(results_dir: Path, run: str, *, estimated_time: bool) -> None:
    """Show the tables of RUN (default: latest)."""
    from harness.report.summary import render
    from harness.store import find_run, load_results
    from harness.store.folders import pruned
    from harness.store.results import plain_rows
    from harness.store.runs import read_run_file

    folder = find_run(locate(run, results_dir))
    about = read_run_file(folder)
    click.echo(f"{folder}: {about.get('state', 'unknown state')}, harness {about.get('harness_version', 'unknown')}\n")
    gone = pruned(about)
    if gone is not None:
        click.echo(f"{', '.join(gone.names)} were pruned on {gone.on}; the cases are kept.\n")
    rows = plain_rows(load_results(folder).cases)
    if not rows:
        click.echo("The run has no cases.")
        return
    width, color = styled_width(plain=100)
    echo_styled(render(rows, width=width, color=color, estimated_time=estimated_time))
    for row in rows:
        if row["verdict"] == "unchecked":
            click.echo(f"{row['variant']} on {row['device']}: {row['verdict_reason']}")


@results.command()
@click.argument("run", default="latest")
@click.pass_obj
def recover(results_dir: Path, run: str) -> None:
    """Finish RUN, which was killed: write its tables from its journal."""
    from harness.store import find_run
    from harness.store import recover as recover_run

    folder = find_run(locate(run, results_dir))
    contents = recover_run(folder)
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


@results.command()
@click.argument("run")
@click.argument("name")
@click.pass_obj
def tag(results_dir: Path, run: str, name: str) -> None:
    """Call RUN by NAME, for `--baseline NAME`. A tag moves if it was another run's."""
    from harness.report.baseline import tag_run
    from harness.store import find_run

    _refuse_copy(results_dir)
    folder = find_run(locate(run, results_dir))
    before = tag_run(results_dir, folder, name)
    moved = "" if before in (None, folder.name) else f" (it was {before})"
    click.echo(f"{name} is {folder.name}{moved}. Compare with it: hil compare --baseline {name}")


@results.command()
@click.argument("run", default="latest")
@click.option("--store", metavar="DIR|URL", help="Where to (default: `farm: {store: ...}` in devices.yaml).")
@LAB
@click.pass_obj
def publish(results_dir: Path, run: str, store: str | None, lab: str | None) -> None:
    """Copy RUN (default: latest) into the store that the runs of all hosts are in.

    Nothing is done if it is there already. A run in the store is never replaced by a different one.
    """
    from harness.store.publish import publish as publish_run

    store = store or load_lab(lab).farm.store
    if store is None:
        raise ConfigError("there is no store: name one with --store, or with `farm: {store: ...}` in devices.yaml")
    click.echo(f"Published: {publish_run(locate(run, results_dir), store)}")


@results.command()
@click.option("--keep-raw", metavar="LENGTH", required=True, help="How long it is kept after a run ended: 30d, 36h.")
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
@click.pass_obj
def prune(results_dir: Path, keep_raw: str, dry_run: bool) -> None:  # noqa: FBT001 (click passes it)
    """Remove samples, outputs, power windows and logs of old runs.

    Their cases are kept for ever. Runs that have a tag, or aren't finished, are left alone.
    """
    from harness.store.prune import prune as prune_runs

    try:
        length = parse_duration(keep_raw)
    except ReservationError as error:
        raise click.UsageError(f"--keep-raw: {error}") from error
    _refuse_copy(results_dir)
    found = prune_runs(results_dir, length, dry_run=dry_run)
    for run in found:
        click.echo(f"{run.path.name}: {run.freed_bytes:,} bytes")
    if not found:
        click.echo(f"{results_dir}: no raw data is older than {show_length(length)}, or it is of tagged runs.")
        return
    total = f"{len(found)} run{'s' * (len(found) > 1)}, {sum(run.freed_bytes for run in found):,} bytes"
    done = "would be removed" if dry_run else "removed"
    click.echo(f"Raw data of {total} {done}. Their cases are kept.")


@results.command()
@click.argument("runs", nargs=-1, metavar="[RUN ...]")
@click.option("--csv", "form", flag_value="csv", help="A table as CSV.")
@click.option("--json", "form", flag_value="json", help="Cases and provenance as JSON.")
@click.option("--junit", "form", flag_value="junit", help="Cases as JUnit XML.")
@click.option(
    "--mlflow", metavar="URI", help="Log cases as runs of MLflow at URI, each once; needs the extra `mlflow`."
)
@click.option(
    "--table",
    type=click.Choice(list(TABLES)),
    help="With --csv or --json: which table (default: cases).",
)
@click.option("-o", "--output", type=FILE, metavar="FILE", help="Where to (default: print it).")
@click.pass_obj
def export(
    results_dir: Path,
    runs: tuple[str, ...],
    form: str | None,
    mlflow: str | None,
    table: str | None,
    output: Path | None,
) -> None:
    """Write RUN (default: latest), or several, for other tools. A folder of runs means all of them.

    \b
    hil results export --csv -o cases.csv
    hil results export RUN RUN --json --table samples
    hil results export results --mlflow http://localhost:5000
    """  # noqa: D301 (click reads the \b)
    if (form is None) == (mlflow is None):
        raise click.UsageError("say how, one of these: --csv, --json, --junit or --mlflow URI")
    if form in (None, "junit") and table is not None:
        raise click.UsageError("--table goes with --csv and --json; the others are about cases")
    if mlflow is not None and output is not None:
        raise click.UsageError("--output doesn't go with --mlflow, which writes nothing here")
    from harness.cli.report import load_runs

    results, _ = load_runs([locate(run, results_dir) for run in runs or ("latest",)])
    if mlflow is not None:
        _log(results, mlflow)
    elif form is not None:
        _export(results, form, table or "cases", output)


def _log(results: Results, uri: str) -> None:
    from harness.report.mlflow import log_cases

    logged = log_cases(results, uri, lambda text: click.echo(text, err=True))
    there = f"; {logged.there:,} were there already" if logged.there else ""
    click.echo(f"Logged: {logged.new:,} case{'s' * (logged.new != 1)}{there}.")


def _export(results: Results, form: str, table: str, output: Path | None) -> None:
    gone = [text for run in results.stored if form != "junit" and (text := run.missing(table)) is not None]
    if gone:
        raise StoreError("; ".join(gone))
    if output is None:
        stream = io.StringIO(newline="")
        _write(stream, results, form, table)
        echo_data(stream.getvalue())
        return
    try:
        with replacing(output) as draft, draft.open("w", encoding="utf-8", newline="") as file:
            _write(file, results, form, table)
    except OSError as error:
        raise StoreError(f"{output} can't be written: {error.strerror}") from error


def _write(stream: TextIO, results: Results, form: str, table: str) -> None:
    from harness.report.junit import junit
    from harness.schema import SCHEMA_VERSION
    from harness.store.results import plain_rows
    from harness.store.runs import read_run_file

    frame = results.cases if table == "cases" else results.table(table)
    if form == "csv":
        writer = csv.writer(stream)
        writer.writerow(frame.columns)
        for row in _rows(frame):
            writer.writerow(csv_text(value) if isinstance(value, str) else value for value in row.values())
    elif form == "json":
        about = [read_run_file(run.path) for run in results.stored]
        runs = {"run": about[0]} if len(about) == 1 else {"runs": about}
        json.dump(
            {"schema_version": SCHEMA_VERSION, **runs, table: list(_rows(frame))},
            stream,
            indent=2,
            default=str,
            allow_nan=False,
        )
        stream.write("\n")
    else:
        stream.write(junit(", ".join(run.path.name for run in results.stored), plain_rows(results.cases)))


def _rows(frame: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Yield the rows of a table, of which not all are plain values at once; times are ISO 8601."""
    from harness.store.results import plain_rows

    for start in range(0, len(frame), _CHUNK_ROWS):
        for row in plain_rows(frame.iloc[start : start + _CHUNK_ROWS]):
            yield {name: _plain(value) for name, value in row.items()}


def _plain(value: Any) -> Any:
    """Return times in ISO 8601 and arrays as lists."""
    for turn in ("isoformat", "tolist"):
        if hasattr(value, turn):
            return getattr(value, turn)()
    return value


def _show_runs(results_dir: Path) -> None:
    """Print a line for each run in a folder."""
    from harness.store import list_runs

    runs = list_runs(results_dir)
    if not runs:
        click.echo(f"{results_dir} holds no runs. Make one: pytest suites/ --device nano33")
        return
    print_table(str(results_dir), ("run", "state", "devices", "cases"), [_run_row(run) for run in runs])
    if any(run.state == "unfinished" for run in runs):
        click.echo("An unfinished run is still going, or was killed: then `hil results recover RUN` finishes it.")


def _refuse_copy(results_dir: Path) -> None:
    from harness.store.fetch import is_cached

    if is_cached(results_dir):
        raise ConfigError("a store behind a URL is only read; run this where its runs are kept, with --results-dir DIR")


def _run_row(run: RunInfo) -> tuple[str | None, ...]:
    from harness.store.place import boards_of, place_of, spelled
    from harness.store.results import plain_rows

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
