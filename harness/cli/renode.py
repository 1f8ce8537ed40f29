"""`hil renode`, and what `hil doctor` says about Renode."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from harness.cli.options import FILE

if TYPE_CHECKING:
    from pathlib import Path


@click.group()
def renode() -> None:
    """Renode, the emulator behind `--backend renode`."""


@renode.command("install")
@click.option("--sha256", metavar="HEX", help="What the release must have, instead of the pinned one.")
@click.option("--sha256-file", type=FILE, metavar="FILE", help="A file with its line, as sha256sum writes it.")
@click.option("--archive", type=FILE, metavar="FILE", help="Don't download: it is this file.")
@click.option("--if-missing", is_flag=True, help="Do nothing if Renode is found already.")
def renode_install(*, sha256: str | None, sha256_file: Path | None, archive: Path | None, if_missing: bool) -> None:
    """Install the official portable release into your cache."""
    from harness.boards.renode.find import find_renode
    from harness.boards.renode.install import asset, checked_sha256, checksum_in, install

    if sha256 and sha256_file:
        raise click.UsageError("--sha256 and --sha256-file exclude each other")
    there = find_renode() if if_missing else None
    if there is not None:
        click.echo(f"Renode {there.version or 'of unknown version'} is there already: {there.program} ({there.origin})")
        return
    url, wanted = asset()
    if sha256_file is not None:
        wanted = checksum_in(sha256_file, url.rpartition("/")[2])
    elif sha256 is not None:
        wanted = checked_sha256(sha256)
    installed = install(wanted, archive, click.echo)
    click.echo(f"Renode {installed.version} is at {installed.program}; `--backend renode` uses it.")
    found = find_renode()
    if found is not None and found.program != installed.program:
        click.echo(f"But {found.program} ({found.origin}) comes first.")
