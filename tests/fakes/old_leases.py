"""Leases that look as if their holder had shown no sign of life for a while, without waiting for that."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from harness.files.json_file import read_json, write_json

if TYPE_CHECKING:
    from pathlib import Path

    from harness.locks.lease import Lease


def hang(lease: Lease, silent_s: float) -> None:
    """Let a lease of this process look as if it had shown no sign of life for so long."""
    lease._ended.set()
    with lease._mutex:  # a beat that was under way is over now
        lease._held = replace(lease._held, beat_s=lease._held.beat_s - silent_s)
        make_older(lease._files.path, silent_s)


def make_older(path: Path, silent_s: float) -> None:
    """Let a lease's file say that its holder showed its last sign of life so much earlier."""
    content = read_json(path)
    write_json(path, {**content, "beat_s": content["beat_s"] - silent_s})
