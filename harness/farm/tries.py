"""The tries of a night's cases, kept in its folder: with them a night that was cut off goes on where it stopped."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from typing import TYPE_CHECKING

from harness.errors import StoreError
from harness.farm.dispatch import Try
from harness.farm.night import TRIES

if TYPE_CHECKING:
    from pathlib import Path


def add_try(night: Path, one: Try) -> None:
    """Write down how a try ended.

    Raises:
        StoreError: that can't be written.
    """
    line = json.dumps(asdict(one)).encode() + b"\n"
    try:
        file = os.open(night / TRIES, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            os.write(file, line)
        finally:
            os.close(file)
    except OSError as error:
        raise StoreError(f"{night / TRIES} can't be written: {error.strerror or error}") from error


def read_tries(night: Path) -> list[Try]:
    """Return the tries of a night in the order in which they ended; a line that a kill has torn is left out."""
    try:
        lines = (night / TRIES).read_bytes().splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        try:
            found.append(Try(**json.loads(line)))
        except (ValueError, TypeError):
            continue
    return found
