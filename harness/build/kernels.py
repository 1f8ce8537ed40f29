"""Which kernels a board has: those of firmware/engine, or only what a CPU has in a folder of its own there."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from harness.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from harness.build.graph import Graph
    from harness.build.plan import Plan
    from harness.build.sources import Target

_DEFINED = re.compile(r"^void (hil_\w+)\(", re.MULTILINE)
_ALSO_CALLED = re.compile(r"^#define (hil_\w+) (hil_\w+)$", re.MULTILINE)


def check_kernels(graph: Graph, plan: Plan, target: Target) -> None:
    """Refuse a model that calls kernels which the board doesn't have.

    Raises:
        ConfigError: there are some; names the operators and what they need.
    """
    if target.kernels is None:
        return
    there = _defined(target.kernels, target.firmware / "engine" / "hil_engine.h")
    lacking: dict[tuple[str, str], list[int]] = {}
    for step in plan.steps:
        if (kernel := step.kernel_of(plain=True)) not in there:
            numbers = lacking.setdefault((step.operator.kind, kernel), [])
            if step.operator.index not in numbers:
                numbers.append(step.operator.index)
    if lacking:
        which = "; ".join(
            f"operator{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers))} ({kind}: {kernel})"
            for (kind, kernel), numbers in lacking.items()
        )
        raise ConfigError(
            f"{graph.source}: {target.kind.name} ({target.kind.title}) has no kernel for {which}. What it has is "
            "listed in docs/engine.md; every other kind of board has all of them"
        )


def _defined(folder: Path, header: Path) -> set[str]:
    names = {name for path in folder.glob("*.c") for name in _DEFINED.findall(path.read_text())}
    return names | {name for name, other in _ALSO_CALLED.findall(header.read_text()) if other in names}
