"""`hil site`: web pages about the boards of a lab, for any web server."""

from __future__ import annotations

import signal
from pathlib import Path

import click

from harness.cli.options import LAB, load_lab


@click.command()
@click.argument("out", required=False, type=click.Path(path_type=Path), metavar="[DIR]")
@click.option("--watch", is_flag=True, help="Go on, and write them anew whenever something changes; Ctrl-C ends it.")
@click.option(
    "--results-dir", type=click.Path(path_type=Path), metavar="DIR", help="Default: the farm's store, else results."
)
@LAB
def site(out: Path | None, watch: bool, results_dir: Path | None, lab: str | None) -> None:  # noqa: FBT001 (click passes it)
    """Write web pages about boards, who has them, health, reservations, nights and runs into DIR.

    Any web server can show them, and a browser without one. DIR must be new, empty, or written by this command before;
    by default it is `farm: {site: DIR}` of devices.yaml.
    """
    from harness.farm.site import Site

    loaded = load_lab(lab)
    folder = out or loaded.farm.site
    if folder is None:
        raise click.UsageError("say where to: hil site DIR, or `farm: {site: DIR}` in devices.yaml")
    store = loaded.farm.store
    usual = Path(store) if store is not None and "://" not in store else Path("results")
    made = Site(loaded, results_dir or usual, folder)
    if not watch:
        click.echo(f"Site: {made.write()}")
        return
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C
    try:
        first = made.write(refresh=True)
        click.echo(f"Site: {first} is written anew whenever something changes, and once a minute. Ctrl-C ends that.")
        made.watch(lambda text: click.echo(f"hil: {text}", err=True))
    except KeyboardInterrupt:
        made.write()  # so that no page goes on asking for a newer one
        click.echo("\nThe site stays as it is now.")
