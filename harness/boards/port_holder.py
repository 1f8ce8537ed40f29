"""Who has a serial port open: for the message that it can't be opened."""

from __future__ import annotations

import os
from pathlib import Path


def port_holders(port: str) -> list[str]:
    """Name the programs that have a port open, as far as this user may know; empty where that can't be found out.

    Args:
        port: the path of the port.
    """
    wanted = os.path.realpath(port)
    found = []
    for process in sorted(Path("/proc").glob("[0-9]*")):
        try:
            if all(os.path.realpath(entry) != wanted for entry in (process / "fd").iterdir()):
                continue
            name = (process / "comm").read_text().strip()
        except OSError:  # another user's process, or one that has just ended
            continue
        found.append("this program" if int(process.name) == os.getpid() else f"{name} (process {process.name})")
    return found
