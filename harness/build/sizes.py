"""What each layer of a planned model takes, and what doesn't fit a board."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from harness.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from harness.build.graph import Graph, Tensor
    from harness.build.plan import Plan
    from harness.build.step import Step
    from harness.build.toolchain import Region
    from harness.config import BoardKind

_LARGEST = 3

#: A RESULT or PROFILE frame holds the output and the ticks of a whole batch (firmware/agent/agent.c).
MAX_OUTPUT_BYTES = 65_531 - 12 - 4 * 128


@dataclass(frozen=True)
class LayerSize:
    """One layer: the calls of a kernel that compute one operator.

    Attributes:
        operator: its index in the file.
        kind: the operator, as TFLite calls it.
        kernel: the C function that computes it.
        shape: shape of the tensor that it writes.
        macs: multiply-accumulates of one inference.
        flash_bytes: what its constants take in flash.
        arena_bytes: memory in use while it runs: tensors that are still needed, its output, its scratch buffer.
        scratch_bytes: working memory that it needs beside its tensors.
        tensors: those tensors, the largest first.
    """

    operator: int
    kind: str
    kernel: str
    shape: tuple[int, ...]
    macs: int
    flash_bytes: int
    arena_bytes: int
    scratch_bytes: int
    tensors: tuple[Tensor, ...]

    @property
    def title(self) -> str:
        """What it is called in messages."""
        return f"operator {self.operator} ({self.kind}, output {_shape(self.shape)})"


def layer_sizes(graph: Graph, plan: Plan, *, plain: bool = False) -> tuple[LayerSize, ...]:
    """Return the layers in the order of execution, with the fast kernels or with the plain C ones."""
    layers: dict[int, list[int]] = {}
    for position, step in enumerate(plan.steps):
        layers.setdefault(step.layer, []).append(position)
    sizes = []
    for positions in layers.values():
        steps = [plan.steps[position] for position in positions]
        main = next((step for step in steps if step.window is not None), steps[0])  # patches are also copied
        worst = max(positions, key=partial(_in_use, plan))
        sizes.append(
            LayerSize(
                operator=steps[0].operator.index,
                kind=steps[0].operator.kind,
                kernel=f"{main.kernel}_plain" if plain and main.has_plain else main.kernel,
                shape=graph.tensors[steps[0].operator.outputs[0]].shape,
                macs=sum(step.macs for step in steps),
                flash_bytes=_constants(steps, plain=plain),
                arena_bytes=_in_use(plan, worst),
                scratch_bytes=plan.steps[worst].scratch_bytes or 0,
                tensors=_tensors(graph, plan, worst),
            )
        )
    return tuple(sizes)


def check_plan(graph: Graph, plan: Plan, layers: Sequence[LayerSize], kind: BoardKind) -> None:
    """Refuse a model that can't fit whatever the rest of the firmware takes.

    Raises:
        ConfigError: constants or arena are larger than the board's whole flash or RAM; says by how much and why.
    """
    problems = []
    flash = sum(layer.flash_bytes for layer in layers)
    if flash > kind.flash.size:
        problems.append(_excess("flash", "weights and other constants alone take", flash, kind.flash.size))
    if plan.arena_bytes > kind.ram.size:
        problems.append(_excess("RAM", "the tensors alone take", plan.arena_bytes, kind.ram.size))
    if problems:
        raise too_large(graph.source, kind, problems, explain(layers, plan.arena_bytes))


def check_output(source: str, output_bytes: int) -> None:
    """Refuse an output that doesn't fit into one frame of the link.

    Raises:
        ConfigError: it doesn't.
    """
    if output_bytes > MAX_OUTPUT_BYTES:
        raise ConfigError(
            f"{source}: an output of {output_bytes:,} B; a reply holds at most {MAX_OUTPUT_BYTES:,} B. "
            "Let the model end in fewer values, or in int8."
        )


def check_regions(source: str, kind: BoardKind, regions: Iterable[Region], why: Sequence[str]) -> None:
    """Refuse an image that is larger than the memory regions of the board's linker script.

    Raises:
        ConfigError: says which region, by how much, and what takes the most.
    """
    problems = [
        _excess(region.name, "the image needs", region.used_bytes, region.size_bytes)
        for region in regions
        if region.used_bytes > region.size_bytes
    ]
    if problems:
        raise too_large(source, kind, problems, why)


def too_large(source: str, kind: BoardKind, problems: Sequence[str], why: Sequence[str]) -> ConfigError:
    """Return the error for an image that doesn't fit, to be raised by the caller."""
    return ConfigError("\n  ".join([f"{source} doesn't fit {kind.name} ({kind.title}):", *problems, *why]))


def explain(layers: Sequence[LayerSize], arena_bytes: int) -> list[str]:
    """Return what takes the most RAM and flash, a line each."""
    if not layers:
        return []
    peak = max(layers, key=lambda layer: layer.arena_bytes)
    parts = [f"tensor {t.index} {_shape(t.shape)} {t.dtype}: {t.bytes:,} B" for t in peak.tensors[:_LARGEST]]
    if len(peak.tensors) > _LARGEST:
        parts.append(f"{len(peak.tensors) - _LARGEST} more tensors")
    if peak.scratch_bytes:
        parts.append(f"scratch: {peak.scratch_bytes:,} B")
    heavy = sorted((layer for layer in layers if layer.flash_bytes), key=lambda layer: -layer.flash_bytes)[:_LARGEST]
    lines = [
        f"The arena takes {arena_bytes:,} B of RAM. Most is in use at {peak.title}, {peak.arena_bytes:,} B:",
        f"  {'; '.join(parts)}.",
    ]
    if heavy:
        lines.append(f"The constants take {sum(layer.flash_bytes for layer in layers):,} B of flash, most of it:")
        lines += [f"  {layer.title}: {layer.flash_bytes:,} B" for layer in heavy]
    return lines


def _excess(what: str, need: str, used: int, size: int) -> str:
    return f"{what}: {need} {used:,} B, there are {size:,} B: {used - size:,} B too many."


def _shape(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "1"


def _constants(steps: Iterable[Step], *, plain: bool) -> int:
    """Return the bytes of the constants; the calls of one layer may share them."""
    arrays = {id(array): array for step in steps for array in step.arrays}.values()
    used = [replace(a, values=a.plain) if plain and a.plain is not None else a for a in arrays]
    return sum(array.bytes for array in used)


def _in_use(plan: Plan, position: int) -> int:
    """Return how many bytes of the arena are in use at a step, its scratch buffer included."""
    return sum(buffer.bytes for buffer in plan.buffers if buffer.first <= position <= buffer.last)


def _tensors(graph: Graph, plan: Plan, position: int) -> tuple[Tensor, ...]:
    """Return the tensors that have memory of their own at a step, the largest first; patches are tensors too."""
    known = {tensor.index: tensor for step in plan.steps for tensor in (*step.inputs, step.output)}
    known |= {tensor.index: tensor for tensor in graph.tensors}
    alive = [buffer for buffer in plan.buffers if buffer.first <= position <= buffer.last and buffer.key in known]
    return tuple(known[buffer.key] for buffer in sorted(alive, key=lambda buffer: -buffer.bytes))
