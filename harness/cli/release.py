"""`hil release`: take a board back into use."""

from __future__ import annotations

import click

from harness.cli.options import LAB, load_lab
from harness.text.escape import printable


@click.command()
@click.argument("device")
@click.option("--reason", default="", metavar="TEXT", help="What was done about it.")
@LAB
def release(device: str, reason: str, lab: str | None) -> None:
    """Take DEVICE back into use."""
    from harness.config.state import username
    from harness.health.book import open_book

    found = open_book(load_lab(lab)).release(device, username(), reason)
    since = f"{found.since:%Y-%m-%d %H:%M} UTC"
    click.echo(printable(f"{device}: in use again. It was quarantined since {since} by {found.by}: {found.reason}"))
