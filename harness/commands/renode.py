"""`hil renode`, and what `hil doctor` says about Renode."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from harness.boards.renode.find import HOW_TO_GET_IT, find_renode
from harness.boards.renode.install import asset, checked_sha256, checksum_in, install
from harness.errors import ConfigError
from harness.measure.finding import Finding

if TYPE_CHECKING:
    from pathlib import Path


def install_renode(
    archive: Path | None, sha256: str | None, sha256_file: Path | None, *, if_missing: bool = False
) -> None:
    """Install Renode into the user's cache, unless it is to be only if it is missing, and it isn't.

    Args:
        archive: a release that was downloaded before; None downloads it.
        sha256: what it must have, instead of the checksum that is pinned here.
        sha256_file: where that stands, as sha256sum writes it.
        if_missing: do nothing if there is a Renode.

    Raises:
        ConfigError: the checksum doesn't fit, or the release can't be had.
    """
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


def renode_finding() -> Finding:
    """Say whether Renode is there, which version, and where it was found."""
    try:
        found = find_renode()
    except ConfigError as error:
        return Finding("problem", "Renode", str(error))
    if found is None:
        return Finding("optional", "Renode", f"not found, a second emulator. {HOW_TO_GET_IT}")
    where = f"{found.program} ({found.origin})"
    if found.warning is not None:
        return Finding("optional", "Renode", f"{where}: {found.warning}")
    return Finding("ok", "Renode", f"{found.version}, {where}")
