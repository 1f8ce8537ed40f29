"""The scratch memory of plain C kernels, for boards that have no others."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from harness.build.lower import Program
    from harness.build.step import Window

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
