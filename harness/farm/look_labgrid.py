"""Who holds which board in labgrid, for a farm that uses it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from harness.errors import HilError
from harness.farm.facts import line
from harness.farm.labgrid import Labgrid
from harness.farm.labgrid_view import look_shared
from harness.locks.state import username

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.config import Lab

#: An answer that another process of this host got so long ago will do.
_FRESH_S = 30.0


@dataclass(frozen=True)
class PlacesSeen:
    """Holders (`host/user`) of boards by the boards' names; `unknown` is why they can't be told."""

    holders: Mapping[str, str] = field(default_factory=dict)
    unknown: str = ""


def held_places(lab: Lab) -> PlacesSeen:
    """Ask labgrid's coordinator, if the farm uses it; that takes some tenths of a second, or 10 s if it hangs."""
    if lab.farm.engine != "labgrid":
        return PlacesSeen()
    try:
        view = look_shared(Labgrid(lab.farm.labgrid, username()), time.monotonic() - _FRESH_S)
    except (HilError, OSError, ValueError) as error:
        return PlacesSeen(unknown=line(f"who holds boards in labgrid isn't known: {error}"))
    held = {place.name: place.acquired for place in view.places.values() if place.acquired}
    named = {device.name: held.get(device.place or device.name) for device in lab.devices}
    return PlacesSeen({name: line(holder, 64) for name, holder in named.items() if holder})
