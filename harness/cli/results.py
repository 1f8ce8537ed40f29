"""What is about results: `hil results`, `compare`, `report`, `battery` and `trace`."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.options import LAB, READ_RESULTS, load_lab


@click.group(invoke_without_command=True)
@READ_RESULTS
@click.pass_context
def results(ctx: click.Context, results_dir: Path) -> None:
    """List the runs in a results folder; show, recover, tag or export one."""
    ctx.obj = results_dir
    if ctx.invoked_subcommand is None:
        from harness.commands.results import show_runs

        show_runs(results_dir)


@results.command()
@click.argument("run", default="latest")
@click.pass_obj
def show(results_dir: Path, run: str) -> None:
    """Show the tables of RUN (default: latest)."""
    from harness.commands.results import locate, show_run

    show_run(locate(run, results_dir))


@results.command()
@click.argument("run", default="latest")
@click.pass_obj
def recover(results_dir: Path, run: str) -> None:
    """Finish RUN, which was killed: write its tables from its journal."""
    from harness.commands.results import locate, recover_run

    recover_run(locate(run, results_dir))


@results.command()
@click.argument("run")
@click.argument("name")
@click.pass_obj
def tag(results_dir: Path, run: str, name: str) -> None:
    """Call RUN by NAME, for `--baseline NAME`. A tag moves if it was another run's."""
    from harness.commands.results import locate, name_run

    name_run(results_dir, locate(run, results_dir), name)


@results.command()
@click.argument("run", default="latest")
@click.option("--store", metavar="DIR|URL", help="Where to (default: `farm: {store: ...}` in devices.yaml).")
@LAB
@click.pass_obj
def publish(results_dir: Path, run: str, store: str | None, lab: str | None) -> None:
    """Copy RUN (default: latest) into the store that the runs of all hosts are in.

    Nothing is done if it is there already. A run in the store is never replaced by a different one.
    """
    from harness.commands.results import locate, publish_run

    publish_run(locate(run, results_dir), store or load_lab(lab).farm.store)


@results.command()
@click.option("--keep-raw", metavar="LENGTH", required=True, help="How long it is kept after a run ended: 30d, 36h.")
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
@click.pass_obj
def prune(results_dir: Path, keep_raw: str, dry_run: bool) -> None:  # noqa: FBT001 (click passes it)
    """Remove samples, power windows and logs of old runs.

    Their cases are kept for ever. Runs that have a tag, or aren't finished, are left alone.
    """
    from harness.commands.results import prune_runs
    from harness.errors import ReservationError
    from harness.text.times import parse_duration

    try:
        length = parse_duration(keep_raw)
    except ReservationError as error:
        raise click.UsageError(f"--keep-raw: {error}") from error
    prune_runs(results_dir, length, dry_run=dry_run)


@results.command()
@click.argument("run", default="latest")
@click.option("--csv", "form", flag_value="csv", help="A table as CSV.")
@click.option("--json", "form", flag_value="json", help="Cases and provenance as JSON.")
@click.option("--junit", "form", flag_value="junit", help="Cases as JUnit XML.")
@click.option(
    "--table",
    type=click.Choice(["cases", "samples", "layers", "windows", "attempts"]),
    default="cases",
    show_default=True,
    help="With --csv or --json: which table.",
)
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="FILE", help="Where to (default: print it).")
@click.pass_obj
def export(results_dir: Path, run: str, form: str | None, table: str, output: Path | None) -> None:
    """Write RUN (default: latest) for other tools."""
    from harness.commands.export import export_run
    from harness.commands.results import locate

    if form is None:
        raise click.UsageError("say how: --csv, --json or --junit")
    if form == "junit" and table != "cases":
        raise click.UsageError("--junit is about cases; --table goes with --csv and --json")
    export_run(locate(run, results_dir), form, table, output)


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


@click.command()
@click.argument("runs", nargs=-1, metavar="[RUN ...]")
@click.option("--html", type=click.Path(path_type=Path), metavar="DIR|FILE", help="The page; index.html in a folder.")
@click.option("--markdown", type=click.Path(path_type=Path), metavar="FILE|-", help="A summary for a job's page.")
@click.option("--baseline", metavar="NAME", help="Hold the newest run against this, as `hil compare --baseline` does.")
@READ_RESULTS
def report(
    runs: tuple[str, ...], html: Path | None, markdown: Path | None, baseline: str | None, results_dir: Path
) -> None:
    """Make a page of what RUN (default: latest) says: who wins, by how much, how sure that is.

    \b
    hil report                               report.html in the latest run's folder
    hil report results --html out/           the newest run of each suite, and its history over all runs
    hil report --markdown - --baseline main >> "$GITHUB_STEP_SUMMARY"

    The page is one file that needs no network. See docs/report.md.
    """  # noqa: D301 (click reads the \b)
    from harness.commands.report import Wish
    from harness.commands.report import report as write

    write(Wish(runs, html, markdown, baseline, results_dir))


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


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--inferences", type=click.IntRange(min=1), required=True, metavar="N", help="How many are in it.")
@click.option("--voltage", type=float, metavar="V", help="Supply, if the file doesn't say it.")
@click.option("--sync", metavar="COLUMN", help="Column, or input D0 to D7, of the sync pin. [default: sync]")
@click.option("--batches", type=click.IntRange(min=1), metavar="N", help="How often the sync pin must go high.")
@click.option("--idle", type=float, default=0.5, show_default=True, metavar="S", help="Idle time at both ends.")
@click.option("--plot", type=click.Path(path_type=Path), metavar="FILE", help="Draw it (PNG, SVG or PDF).")
def trace(
    file: Path,
    inferences: int,
    voltage: float | None,
    sync: str | None,
    batches: int | None,
    idle: float,
    plot: Path | None,
) -> None:
    """Compute energy from FILE: a CSV trace taken elsewhere, or a window in the power folder of a run.

    CSV files have the columns time_s, current_a, sync and perhaps voltage_v, or are exports of Nordic's Power
    Profiler, Otii or the Joulescope UI.
    """
    from harness.commands.trace import show_trace

    show_trace(file, inferences, voltage, idle, plot, sync=sync, batches=batches)
