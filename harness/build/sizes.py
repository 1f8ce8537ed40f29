"""What each layer of a planned model takes, and what doesn't fit a board."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from harness.build.lower import VIEWS
from harness.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from harness.build.graph import Graph, Tensor
    from harness.build.plan import Plan
    from harness.build.step import Step
    from harness.build.toolchain import Region
    from harness.config import BoardKind

_LARGEST = 3

#: A RESULT frame holds the output and the ticks of a whole batch (firmware/agent/agent.c).
MAX_OUTPUT_BYTES = 65_531 - 8 - 4 * 128


@dataclass(frozen=True)
class LayerSize:
    """One layer: the calls of a kernel that compute one operator.

    Attributes:
        operator: its index in the file.
        kind: its TFLite name.
        kernel: the C function.
        shape: of the output.
        macs: multiply-accumulates of one inference.
        flash_bytes: its constants.
        arena_bytes: memory in use while it runs: tensors that are still needed, its output, its scratch buffer.
        scratch_bytes: the scratch buffer alone.
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
    roots = _roots(graph)
    lives = _lives(graph, plan, roots)
    tensors = _tensors(graph, plan)
    layers: dict[int, list[int]] = {}
    for position, step in enumerate(plan.steps):
        layers.setdefault(step.layer, []).append(position)
    sizes = []
    for positions in layers.values():
        steps = [plan.steps[position] for position in positions]
        worst = max(positions, key=lambda at: _in_use(plan, at, _alive(plan, at, tensors, roots, lives)))
        alive = _alive(plan, worst, tensors, roots, lives)
        sizes.append(
            LayerSize(
                operator=steps[0].operator.index,
                kind=steps[0].operator.kind,
                kernel=f"{steps[0].kernel}_plain" if plain and steps[0].twin else steps[0].kernel,
                shape=graph.tensors[steps[0].operator.outputs[0]].shape,
                macs=sum(step.macs for step in steps),
                flash_bytes=_constants(steps, plain=plain),
                arena_bytes=_in_use(plan, worst, alive),
                scratch_bytes=plan.steps[worst].scratch_bytes or 0,
                tensors=tuple(sorted(alive, key=lambda tensor: -tensor.bytes)),
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


def _tensors(graph: Graph, plan: Plan) -> dict[int, Tensor]:
    """Return every tensor that has memory in the arena, by index."""
    found = {graph.input.index: graph.input, graph.output.index: graph.output}
    for step in plan.steps:
        found.update({tensor.index: tensor for tensor in (*step.inputs, step.output)})
    return {index: tensor for index, tensor in found.items() if index in plan.offsets}


def _roots(graph: Graph) -> dict[int, int]:
    """Return, for each output of an operator that only renames, which tensor it renames."""
    roots: dict[int, int] = {}
    for operator in graph.operators:
        if operator.kind in VIEWS:
            roots[operator.outputs[0]] = roots.get(operator.inputs[0], operator.inputs[0])
    return roots


def _lives(graph: Graph, plan: Plan, roots: Mapping[int, int]) -> dict[int, tuple[int, int]]:
    """Return the first and the last step that needs each root. The input is there first, the output stays."""
    uses: dict[int, list[int]] = {roots.get(graph.input.index, graph.input.index): [0]}
    for position, step in enumerate(plan.steps):
        for tensor in (*step.inputs, step.output):
            uses.setdefault(roots.get(tensor.index, tensor.index), []).append(position)
    uses.setdefault(roots.get(graph.output.index, graph.output.index), []).append(max(len(plan.steps) - 1, 0))
    return {root: (min(positions), max(positions)) for root, positions in uses.items()}


def _alive(
    plan: Plan,
    position: int,
    tensors: Mapping[int, Tensor],
    roots: Mapping[int, int],
    lives: Mapping[int, tuple[int, int]],
) -> list[Tensor]:
    """Return the tensors that are needed at a step, one for each place in the arena."""
    places: dict[int, Tensor] = {}
    for index, tensor in tensors.items():
        first, last = lives[roots.get(index, index)]
        place = plan.offsets[index]
        if first <= position <= last and (place not in places or places[place].bytes < tensor.bytes):
            places[place] = tensor
    return list(places.values())


def _in_use(plan: Plan, position: int, alive: Iterable[Tensor]) -> int:
    """Return how many bytes of the arena are in use at a step; what lies in another's place counts once."""
    spans = [(plan.offsets[tensor.index], plan.offsets[tensor.index] + tensor.bytes) for tensor in alive]
    scratch = plan.steps[position].scratch_bytes or 0
    spans.append((plan.scratch[position], plan.scratch[position] + scratch))
    total = end = 0
    for start, stop in sorted(spans):
        total += max(stop - max(start, end), 0)
        end = max(end, stop)
    return total
