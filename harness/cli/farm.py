"""What is about sharing boards: leases, reservations, health, quarantine, and the nights."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.options import LAB, TIMEOUT, WAIT, load_lab, patience_of


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; 0.0.0.0 for all.")
@click.option("--port", type=click.IntRange(0, 65535), default=8765, show_default=True, help="0 for any that is free.")
@click.option("--token", envvar="HIL_TOKEN", help="What visitors must know; better in $HIL_TOKEN, where `ps` lacks it.")
@click.option(
    "--results-dir", type=click.Path(path_type=Path), metavar="DIR", help="Default: the farm's store, else results."
)
@LAB
def serve(host: str, port: int, token: str | None, results_dir: Path | None, lab: str | None) -> None:
    """Show boards, leases, health, reservations and nights in a browser.

    The page can only be read. Only this computer can open it unless --host says otherwise; then visitors need a token.
    """
    from harness.commands.serve import serve as run

    run(load_lab(lab), results_dir, host, port, token)


@click.command()
@click.argument("file", type=click.Path(path_type=Path), default=Path("nightly.yaml"), metavar="[FILE]")
@click.option("--resume", is_flag=True, help="Only go on with a night that was cut off.")
@click.option("--dry-run", is_flag=True, help="Say what would be measured on which boards, and do nothing.")
@click.option("--results-dir", metavar="DIR", help="Default: the farm's store, else results.")
@LAB
def nightly(file: Path, resume: bool, dry_run: bool, results_dir: str | None, lab: str | None) -> None:  # noqa: FBT001 (click passes it)
    """Run what FILE (default: nightly.yaml) says on the farm, within its budget, and report.

    Every host of a farm runs it, at the same time or not: they share the cases. It never runs twice at once on a host,
    and goes on where it stopped after a power cut.

    Ends with 0 if all is well, 1 if a case failed or got worse than allowed, 5 if nothing was measured, 6 if a limit
    can't be told, 7 if cases are left. See docs/nightly.md.
    """
    from harness.commands.nightly import run_nightly

    raise SystemExit(run_nightly(load_lab(lab), file, results_dir, resume=resume, dry_run=dry_run))


@click.command()
@click.argument("device", required=False)
@click.option("--check", is_flag=True, help="Check DEVICE now: flash, read back, run known inputs.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@LAB
@WAIT
@TIMEOUT
def health(
    device: str | None,
    check: bool,  # noqa: FBT001 (click passes it)
    as_json: bool,  # noqa: FBT001 (click passes it)
    lab: str | None,
    wait: bool,  # noqa: FBT001 (click passes it)
    timeout: float | None,
) -> None:
    """Show how well the boards work, and why some are not used."""
    from harness.commands.health import check_now, show_health

    loaded = load_lab(lab)
    if check and (device is None or as_json):
        raise click.UsageError("--check needs a DEVICE, and goes without --json")
    if not check and (wait or timeout is not None):
        raise click.UsageError("--wait and --timeout go with --check")
    if device is not None and check:
        if not check_now(loaded, device, patience_of(wait, timeout)):
            raise SystemExit(1)
    else:
        show_health(loaded, device, as_json=as_json)


@click.command()
@click.argument("device")
@click.option("--reason", required=True, metavar="TEXT", help="Why, for the next one who misses it.")
@LAB
def quarantine(device: str, reason: str, lab: str | None) -> None:
    """Take DEVICE out of use until somebody releases it."""
    from harness.commands.health import set_quarantine

    set_quarantine(load_lab(lab), device, reason)


@click.command()
@click.argument("device")
@click.option("--reason", default="", metavar="TEXT", help="What was done about it.")
@LAB
def release(device: str, reason: str, lab: str | None) -> None:
    """Take DEVICE back into use."""
    from harness.commands.health import end_quarantine

    end_quarantine(load_lab(lab), device, reason)
