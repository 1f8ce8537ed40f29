"""`hil farm`: certificates and the scheduler of a farm of several computers."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.options import LAB, load_lab


@click.group()
def farm() -> None:
    """Set up a farm of several computers (docs/farm.md)."""


@farm.command()
@click.argument("folder", type=click.Path(path_type=Path), metavar="DIR")
@click.argument("hosts", nargs=-1, metavar="[HOST]...")
def certs(folder: Path, hosts: tuple[str, ...]) -> None:
    """Make certificates in DIR for the computers of a farm (default: this one).

    DIR/HOST is copied to each HOST and named there by `farm: {certificates: ...}`. DIR/ca-key.pem stays where it is:
    who has it can make certificates, and who has a certificate can run code on every computer of the farm.
    """
    from harness.config.state import hostname
    from harness.farm.certificates import make_certificates

    for made in make_certificates(folder, hosts or (hostname(),)):
        click.echo(f"{made}: copy it to that computer, where only the farm's user may read it")


@farm.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; 0.0.0.0 for all.")
@click.option("--port", type=click.IntRange(0, 65535), default=8786, show_default=True)
@click.option(
    "--certificates", type=click.Path(path_type=Path), metavar="DIR", help="Default: `farm: {certificates: ...}`."
)
@click.option("--dashboard", type=int, metavar="PORT", help="Show Dask's dashboard on this port of this computer.")
@LAB
def scheduler(host: str, port: int, certificates: Path | None, dashboard: int | None, lab: str | None) -> None:
    """Run the scheduler of a farm, with TLS unless it listens to this computer only."""
    from harness.farm.cluster import run_scheduler

    run_scheduler(host, port, certificates or load_lab(lab).farm.certificates, dashboard, click.echo)
