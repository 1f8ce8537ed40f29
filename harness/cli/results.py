"""`hil results`: list, show, recover and tag runs."""

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
