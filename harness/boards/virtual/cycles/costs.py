"""The costs of events, as costs.yaml has them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Final

import yaml

from harness.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Where cycles go, in the order of every array by part; the last are waits for memory, which costs.yaml has none of.
PARTS: Final = ("arithmetic", "multiply", "load", "store", "branch", "float", "flash")


@dataclass(frozen=True, eq=False)  # so that each can be a key
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
    cycles: Mapping[str, float]
    part: Mapping[str, str]
    basis: Mapping[str, str]

    @property
    def shipped(self) -> bool:
        """Whether these are the costs that the published points were held against."""
        return self is shipped_costs()

    def calibrated(self, cycles: Mapping[str, float]) -> Costs:
        """Return these costs with some of another figure.

        Raises:
            ConfigError: there is no such event.
        """
        for name in cycles:
            if name not in self.cycles:
                raise ConfigError(f"cycle_costs: there is no cost {name!r}; there are {', '.join(self.cycles)}")
        return replace(self, version=f"{self.version}, calibrated", cycles={**self.cycles, **cycles})


@cache
def shipped_costs() -> Costs:
    """Return the costs that come with the package."""
    text = (resources.files("harness.boards.virtual.cycles") / "costs.yaml").read_text(encoding="utf-8")
    document = yaml.safe_load(text)
    fields = [{name: cost[key] for name, cost in document["costs"].items()} for key in ("cycles", "part", "basis")]
    return Costs(document["version"], document["core"], *fields)
