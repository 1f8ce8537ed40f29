"""`hil health`, `hil quarantine` and `hil release`: how the boards are, and which of them are used."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from harness.cli.options import single_device
from harness.cli.tables import print_table
from harness.errors import ConfigError
from harness.health.retest import open_book, retest
from harness.locks.state import stamp, username
from harness.locks.waiting import NOW
from harness.text.escape import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.config import Lab
    from harness.health.book import Judged
    from harness.health.rules import Health, Rate
    from harness.locks.waiting import Patience

_COLUMNS = ("device", "state", "cases", "success (95 %)", "attempts", "frames again", "drift", "reason")


def show_health(lab: Lab, device: str | None, *, as_json: bool) -> None:
    """Print what is known of every board, or of one, with all that is to say about it."""
    book = open_book(lab)
    if device is not None:
        judged: Sequence[Judged] = (book.summary(device),)
        if judged[0].health.last is None and judged[0].quarantine is None:
            single_device(lab, device)  # a name that nobody knows is an error
    else:
        known = {one.health.device: one for one in book.all()}
        names = dict.fromkeys([*(entry.name for entry in lab.devices), *known])
        judged = [known[name] if name in known else book.summary(name) for name in names]
    if as_json:
        click.echo(json.dumps([_as_json(one) for one in judged], indent=2))
    elif not judged:
        click.echo("Nothing is known of any board yet; runs and `hil health DEVICE --check` write it down.")
    else:
        days = lab.farm.health.window_days
        print_table(f"Health over {days:g} days", _COLUMNS, map(_row, judged), ("cases", "attempts", "frames again"))
        if device is not None:
            _print_details(judged[0])


def check_now(lab: Lab, name: str, patience: Patience = NOW) -> bool:
    """Check a board and say what came of it; a quarantined one may be released by it.

    Args:
        lab: the boards.
        name: of one of them.
        patience: whether to wait while somebody else has it.

    Returns:
        True if it passed.

    Raises:
        BusyError: somebody else has it.
        ConfigError: it is another host's, or there is nothing to check it with.
    """
    device = single_device(lab, name)
    check = retest(lab, device, on_step=lambda step: click.echo(f"{device.name}: {step}"), patience=patience)
    click.echo(f"{device.name}: {'passed' if check.ok else 'FAILED'}: {printable(check.reason)}")
    quarantine = open_book(lab).quarantined(device.name)
    if quarantine is not None:
        click.echo(f"{device.name}: {printable(quarantine.text)}")
    return check.ok


def set_quarantine(lab: Lab, name: str, reason: str) -> None:
    """Take a board out of use.

    Raises:
        ConfigError: there is no such board in devices.yaml; the twin of a kind is everybody's own.
    """
    device = single_device(lab, name)
    if device.lab is None:
        raise ConfigError(f"{name} is no board of devices.yaml, and everybody has a virtual board of their own")
    made = open_book(lab).quarantine(device.name, reason, username())
    click.echo(f"{device.name}: {printable(made.text)}")


def end_quarantine(lab: Lab, name: str, reason: str) -> None:
    """Take a board back; it need not be in devices.yaml any more."""
    found = open_book(lab).release(name, username(), reason)
    click.echo(
        f"{name}: in use again. It was quarantined since {found.since:%Y-%m-%d %H:%M} UTC by {found.by}: ", nl=False
    )
    click.echo(printable(found.reason))


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


def _print_details(judged: Judged) -> None:
    health = judged.health
    for line in _details(health):
        click.echo(printable(line))
    if judged.quarantine is None:
        return
    click.echo(f"Evidence: {printable(', '.join(judged.quarantine.evidence)) or 'none'}")
    for test in judged.quarantine.tests:
        click.echo(f"Test of {stamp(test.when)}: {'passed' if test.ok else 'failed'}: {printable(test.reason)}")


def _details(health: Health) -> list[str]:
    lines = [f"Last {health.recent.cases} cases: {_percent(health.recent)}"] if health.recent else []
    if health.failures:
        shares = ", ".join(f"{layer} {share:.0%}" for layer, share in sorted(health.failures.items()))
        lines.append(f"Failed cases by where: {shares}")
    if health.excused or health.undecided:
        lines.append(f"Not counted: {health.excused} failures of suspect images, {health.undecided} undecided")
    if health.duration is not None:
        lines.append(f"Duration: {health.duration:.2f} times the siblings'")
    lines += [f"{'Drift' if drift.finding else 'Compared'}: {drift.text}" for drift in health.drift]
    return lines


def _as_json(judged: Judged) -> dict[str, Any]:
    health = asdict(judged.health)
    plain = {"health": health, "quarantine": asdict(judged.quarantine) if judged.quarantine else None}
    loaded: dict[str, Any] = json.loads(json.dumps(plain, default=stamp))
    return loaded
