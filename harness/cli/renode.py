"""`hil renode`, and what `hil doctor` says about Renode."""

from __future__ import annotations

from pathlib import Path

import click


@click.group()
def renode() -> None:
    """Renode, the emulator behind `--backend renode`."""


@renode.command("install")
@click.option("--sha256", metavar="HEX", help="What the release must have, instead of the pinned one.")
@click.option(
    "--sha256-file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="A file with its line, as sha256sum writes it.",
)
@click.option("--archive", type=click.Path(path_type=Path), metavar="FILE", help="Don't download: it is this file.")
@click.option("--if-missing", is_flag=True, help="Do nothing if Renode is found already.")
def renode_install(
    sha256: str | None,
    sha256_file: Path | None,
    archive: Path | None,
    if_missing: bool,  # noqa: FBT001 (click passes it)
) -> None:
    """Install the official portable release into your cache."""
    from harness.commands.renode import install_renode

    if sha256 and sha256_file:
        raise click.UsageError("--sha256 and --sha256-file exclude each other")
    install_renode(archive, sha256, sha256_file, if_missing=if_missing)
