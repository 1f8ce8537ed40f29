"""Which kernels a board has: those of firmware/engine, or only what a CPU has in a folder of its own there."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from harness.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from harness.build.graph import Graph
    from harness.build.lower import Program
    from harness.build.plan import Plan
    from harness.build.sources import Target
    from harness.build.step import Window

_DEFINED = re.compile(r"^void (hil_\w+)\(", re.MULTILINE)
_ALSO_CALLED = re.compile(r"^#define (hil_\w+) (hil_\w+)$", re.MULTILINE)


#: What plain C kernels need beside their tensors, where the fast ones need more: a pixel, or the rows of a channel that
#: a kernel sees.
_SCRATCH: Mapping[str, Callable[[Window], int]] = {
    "hil_conv_s8_plain": lambda _window: 0,
    "hil_conv1x1_s8_plain": lambda window: window.in_c,
    **dict.fromkeys(
        ("hil_depthwise_s8_plain", "hil_depthwise_3x3_s8_plain", "hil_depthwise_any_s8_plain"),
        lambda window: window.k_h * window.in_w,
    ),
}


def with_plain_scratch(program: Program) -> Program:
    """Return a program whose calls have the scratch memory that plain C kernels need, and no more."""
    steps = []
    for step in program.steps:
        of = _SCRATCH.get(step.kernel_of(plain=True))
        if of is not None and step.window is not None:
            steps.append(replace(step, scratch_bytes=of(step.window), scratch_of=of))
        else:
            steps.append(step)
    return replace(program, steps=tuple(steps))


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
