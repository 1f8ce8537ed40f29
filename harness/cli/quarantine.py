"""`hil quarantine`: take a board out of use."""

from __future__ import annotations

import click

from harness.cli.options import LAB, load_lab, single_device
from harness.errors import ConfigError
from harness.text.escape import printable


@click.command()
@click.argument("device")
@click.option("--reason", required=True, metavar="TEXT", help="Why, for the next one who misses it.")
@LAB
def quarantine(device: str, reason: str, lab: str | None) -> None:
    """Take DEVICE out of use until somebody releases it."""
    from harness.config.state import username
    from harness.health.book import open_book

    loaded = load_lab(lab)
    found = single_device(loaded, device)
    if found.lab is None:
        raise ConfigError(f"{device} is no board of devices.yaml, and everybody has a virtual board of their own")
    made = open_book(loaded).quarantine(found.name, reason, username())
    click.echo(f"{found.name}: {printable(made.text)}")
