"""`hil health`: how well the boards work, and which of them are used."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.options import LAB, load_lab, single_device, waits
from harness.cli.tables import print_table
from harness.locks.waiting import NOW, Patience
from harness.text.escape import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from harness.config import Lab
    from harness.health.book import Judged
    from harness.health.rules import Health, Rate

_COLUMNS = ("device", "state", "cases", "success (95 %)", "attempts", "frames again", "drift", "reason")


@click.command()
@click.argument("device", required=False)
@click.option("--check", is_flag=True, help="Check DEVICE now: flash, read back, run known inputs.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option(
    "--results-dir",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Whose runs count (default: the farm's store, else results).",
)
@LAB
@waits
def health(
    device: str | None,
    check: bool,  # noqa: FBT001 (click passes it)
    as_json: bool,  # noqa: FBT001 (click passes it)
    results_dir: Path | None,
    lab: str | None,
    patience: Patience,
) -> None:
    """Show how well the boards work, and why some are not used."""
    loaded = load_lab(lab)
    if check and (device is None or as_json):
        raise click.UsageError("--check needs a DEVICE, and goes without --json")
    if not check and patience is not NOW:
        raise click.UsageError("--wait and --timeout go with --check")
    if device is not None and check:
        if not _check(loaded, device, results_dir, patience):
            raise SystemExit(1)
    else:
        _show(loaded, device, results_dir, as_json=as_json)


def _check(lab: Lab, name: str, results_dir: Path | None, patience: Patience) -> bool:
    """Check a board and say what came of it; a quarantined one may be released by it."""
    from harness.farm.lab_access import LabAccess
    from harness.health.book import open_book
    from harness.health.check import check_board

    device = single_device(lab, name)
    with closing(LabAccess(lab)) as access:
        check = check_board(
            lab,
            device,
            access,
            results_dir,
            on_step=lambda step: click.echo(f"{device.name}: {step}"),
            patience=patience,
        )
    click.echo(f"{device.name}: {'passed' if check.ok else 'FAILED'}: {printable(check.reason)}")
    quarantine = open_book(lab).quarantined(device.name)
    if quarantine is not None:
        click.echo(f"{device.name}: {printable(quarantine.text)}")
    return check.ok


def _show(lab: Lab, device: str | None, results_dir: Path | None, *, as_json: bool) -> None:
    """Print what is known of every board, or of one, with all that is to say about it."""
    from harness.config.state import stamp
    from harness.health.book import open_book

    book = open_book(lab, results_dir)
    if device is not None:
        judged: Sequence[Judged] = (book.summary(device),)
        if judged[0].health.last is None and judged[0].quarantine is None:
            single_device(lab, device)  # a name that nobody knows is an error
    else:
        judged = book.all([entry.name for entry in lab.devices])
    if as_json:
        click.echo(json.dumps([asdict(one) for one in judged], indent=2, default=stamp))
    elif not judged:
        click.echo("Nothing is known of any board yet; runs and `hil health DEVICE --check` write it down.")
    else:
        days = lab.farm.health.window_days
        print_table(f"Health over {days:g} days", _COLUMNS, map(_row, judged), ("cases", "attempts", "frames again"))
        for line in _details(judged[0]) if device is not None else ():
            click.echo(printable(line))


def _row(judged: Judged) -> tuple[str | None, ...]:
    health = judged.health
    finding = next((drift for drift in health.drift if drift.finding), None)
    reason = judged.quarantine.text if judged.quarantine else "; ".join(health.notes)
    return (
        health.device,
        health.state,
        str(health.cases),
        _percent(health.rate),
        None if health.attempts is None else f"{health.attempts:.2f}",
        None if health.retransmissions is None else f"{health.retransmissions:.1f}",
        f"{finding.ratio - 1:+.2%}" if finding else "none" if health.drift else None,
        printable(reason) or None,
    )


def _percent(rate: Rate | None) -> str | None:
    return None if rate is None else f"{rate.share:.0%} ({rate.low:.0%} to {rate.high:.0%})"


def _details(judged: Judged) -> Iterator[str]:
    from harness.config.state import stamp

    health: Health = judged.health
    if health.recent is not None:
        yield f"Last {health.recent.cases} cases: {_percent(health.recent)}"
    if health.failures:
        shares = ", ".join(f"{layer} {share:.0%}" for layer, share in sorted(health.failures.items()))
        yield f"Failed cases by where: {shares}"
    if health.excused or health.undecided:
        yield f"Not counted: {health.excused} failures of suspect images, {health.undecided} undecided"
    if health.duration is not None:
        yield f"Duration: {health.duration:.2f} times the siblings'"
    for drift in health.drift:
        yield f"{'Drift' if drift.finding else 'Compared'}: {drift.text}"
    if judged.quarantine is not None:
        yield f"Evidence: {', '.join(judged.quarantine.evidence) or 'none'}"
        for test in judged.quarantine.tests:
            yield f"Test of {stamp(test.when)}: {'passed' if test.ok else 'failed'}: {test.reason}"
