"""What the coordinator says, asked for once and read by every process of this user on this host.

A call of `labgrid-client` costs about 0.4 s of CPU time. With a process for each of 16 boards, each asking every two
seconds, that would be more than two cores; so the newest answer lies in a file, and who wants a newer one asks.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from harness.farm.labgrid_text import parse_places, parse_resources
from harness.files.json_file import read_json, write_json
from harness.locks.state import username

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.farm.labgrid import Labgrid
    from harness.farm.labgrid_text import Place, Resource

_WAIT_S = 8.0  # for another process that is asking; it may have been stopped


@dataclass(frozen=True)
class View:
    """Places and resources by name and path. `asked` is when the question was put (monotonic seconds of this host)."""

    asked: float
    places: Mapping[str, Place]
    resources: Mapping[str, Resource]


def look(labgrid: Labgrid) -> View:
    """Ask the coordinator.

    Raises:
        ConfigError: the client isn't installed.
        FarmError: the coordinator can't be reached.
    """
    return _view(_ask(labgrid))


def look_shared(labgrid: Labgrid, newer_than: float) -> View:
    """Return an answer to a question put after `newer_than` (monotonic seconds), by whichever process.

    The monotonic clock is one for all processes of a host. Raises as `look`.
    """
    path = _shared_file(labgrid)
    try:
        with FileLock(path.with_suffix(".lock"), timeout=_WAIT_S):
            said = _read(path)
            if said is None or not newer_than <= float(said["asked"]) <= time.monotonic():
                said = _ask(labgrid)
                write_json(path, said)
            return _view(said)
    except (Timeout, OSError):  # a full or foreign temporary folder: sharing is only thrift
        return look(labgrid)


def _ask(labgrid: Labgrid) -> dict[str, str]:
    asked = time.monotonic()
    with ThreadPoolExecutor(2) as pool:
        places, resources = pool.submit(labgrid.places_text), pool.submit(labgrid.resources_text)
        return {"asked": repr(asked), "places": places.result(), "resources": resources.result()}


def _view(said: Mapping[str, str]) -> View:
    return View(
        asked=float(said["asked"]),
        places={place.name: place for place in parse_places(said["places"])},
        resources={resource.path: resource for resource in parse_resources(said["resources"])},
    )


def _shared_file(labgrid: Labgrid) -> Path:
    which = hashlib.sha256(f"{labgrid.address} {username()}".encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"hil-labgrid-{which}.json"


def _read(path: Path) -> dict[str, str] | None:
    if hasattr(os, "getuid") and path.exists() and path.stat().st_uid != os.getuid():
        return None  # somebody else's file in a folder that all can write
    said = read_json(path)
    if said is None or not all(isinstance(said.get(key), str) for key in ("asked", "places", "resources")):
        return None
    return said
