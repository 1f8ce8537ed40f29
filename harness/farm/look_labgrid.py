"""Who holds which board in labgrid, for a farm that uses it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from harness.errors import HilError
from harness.farm.facts import line
from harness.farm.labgrid import Labgrid

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.config import Lab


@dataclass(frozen=True)
class PlacesSeen:
    """Holders (`host/user`) of boards by the boards' names; `unknown` is why they can't be told."""

    holders: Mapping[str, str] = field(default_factory=dict)
    unknown: str = ""


def held_places(lab: Lab) -> PlacesSeen:
    """Ask labgrid's coordinator, if the farm uses it; that takes some tenths of a second, or 10 s if it hangs."""
    labgrid, holders = Labgrid(lab.farm.labgrid), {}
    for device in lab.devices:
        if device.labgrid is not None:
            try:
                holder = labgrid.holder(device.labgrid)
            except HilError as error:
                return PlacesSeen(unknown=line(f"who holds boards in labgrid isn't known: {error}"))
            if holder is not None:
                holders[device.name] = line(holder, 64)
    return PlacesSeen(holders)
