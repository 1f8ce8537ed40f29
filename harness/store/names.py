"""What runs and their writers are called, and which run is the latest."""

from __future__ import annotations

import re
import secrets
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def run_name() -> str:
    """Return the name of a new run's folder."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"


def writer_name(*parts: str) -> str:
    """Return a name for one of several writers of a run: another one than any before, also after a power cut.

    Numbers of processes come again, and a journal can be begun only once.

    Args:
        parts: what tells people which writer it is: a host, a board.
    """
    return re.sub(r"[^A-Za-z0-9._]", "_", ".".join([*parts, secrets.token_hex(4)]))


def point_latest(results_dir: Path, name: str) -> None:
    """Let results/latest be a link to the newest run, or a file with its name where there are no links."""
    temporary = results_dir / f".latest-{name}-{secrets.token_hex(4)}"  # threads of one process may do it at once
    try:
        temporary.symlink_to(name, target_is_directory=True)
    except (OSError, NotImplementedError):
        temporary.write_text(f"{name}\n", encoding="utf-8")
    temporary.replace(results_dir / "latest")
