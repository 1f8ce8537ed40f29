"""The costs of events, as costs.yaml has them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Final

import yaml

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Where cycles go, in the order of every array by part; the last are waits for memory, which costs.yaml has none of.
PARTS: Final = ("arithmetic", "multiply", "load", "store", "branch", "float", "flash")


@dataclass(frozen=True)
class Costs:
    """Cycles by event.

    Attributes:
        version: name of the model, which results carry.
        core: that it is for.
        cycles: of each event.
        part: of `PARTS`, where each event's cycles belong.
        basis: of each event, whether its figure is the manual's, chosen, or assumed.
    """

    version: str
    core: str
    cycles: Mapping[str, int]
    part: Mapping[str, str]
    basis: Mapping[str, str]


@cache
def shipped_costs() -> Costs:
    """Return the costs that come with the package."""
    text = (resources.files("harness.boards.virtual.cycles") / "costs.yaml").read_text(encoding="utf-8")
    document = yaml.safe_load(text)
    fields = [{name: cost[key] for name, cost in document["costs"].items()} for key in ("cycles", "part", "basis")]
    return Costs(document["version"], document["core"], *fields)
