"""What each layer of a planned model does and takes, and what doesn't fit a board."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from harness.build.graph import Graph, Tensor
    from harness.build.plan import Buffer, Plan
    from harness.build.step import Step
    from harness.build.toolchain import Region
    from harness.config import BoardKind

_LARGEST = 3

#: A RESULT or PROFILE frame holds the output and the ticks of a whole batch (firmware/agent/agent.c).
MAX_OUTPUT_BYTES = 65_531 - 12 - 4 * 128


@dataclass(frozen=True)
class LayerSize:
    """One layer: the calls of a kernel that compute one operator, in however many patches.

    Attributes:
        layer: its number, from 0.
        operator: its index in the file.
        kind: the operator, as TFLite calls it.
        kernel: the C function that computes it.
        shape: shape of the tensor that it writes.
        macs: multiply-accumulates of one inference.
        bytes_moved: each byte of inputs, output and constants once for each call, copies of patches included.
        parameters: weights and biases.
        flash_bytes: what its constants take in flash.
        arena_bytes: memory in use while it runs: tensors that are still needed, its output, its scratch buffer.
        scratch_bytes: working memory that it needs beside its tensors.
        tensors: those tensors, the largest first.
    """

    layer: int
    operator: int
    kind: str
    kernel: str
    shape: tuple[int, ...]
    macs: int
    bytes_moved: int
    parameters: int
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
    first: dict[int, int] = {}  # where each constant is first used: it is there once, whoever shares it
    for position, step in enumerate(plan.steps):
        for array in step.arrays:
            first.setdefault(id(array), position)
    return tuple(_layer(graph, plan, positions, first, plain=plain) for _, positions in sorted(layers.items()))


def _layer(graph: Graph, plan: Plan, positions: list[int], first: Mapping[int, int], *, plain: bool) -> LayerSize:
    steps = [plan.steps[position] for position in positions]
    main = next((step for step in steps if step.window is not None), steps[0])  # patches are also copied
    alive = [[b for b in plan.buffers if b.first <= position <= b.last] for position in positions]
    in_use = [_in_use(plan, buffers) for buffers in alive]
    worst = in_use.index(max(in_use))
    tensors = {tensor.index: tensor for step in plan.steps for tensor in (*step.inputs, step.output)}
    tensors |= {tensor.index: tensor for tensor in graph.tensors}
    arrays = {id(array): array for step in steps for array in step.arrays if first[id(array)] in positions}.values()
    return LayerSize(
        layer=main.layer,
        operator=main.operator.index,
        kind=main.operator.kind,
        kernel=main.kernel_of(plain=plain),
        shape=graph.tensors[main.operator.outputs[0]].shape,
        macs=sum(step.macs for step in steps),
        bytes_moved=sum(_bytes_moved(step, plain=plain) for step in steps),
        parameters=max(step.parameters for step in steps),  # each patch has them all
        flash_bytes=sum(array.bytes(plain=plain) for array in arrays),
        arena_bytes=in_use[worst],
        scratch_bytes=steps[worst].scratch_bytes or 0,
        tensors=tuple(tensors[b.key] for b in sorted(alive[worst], key=lambda b: -b.bytes) if b.key in tensors),
    )


def _in_use(plan: Plan, buffers: Iterable[Buffer]) -> int:
    """Return how many bytes of the arena some buffers take; those that share memory once."""
    total = reached = 0
    for start, end in sorted((plan.places[b.key], plan.places[b.key] + b.bytes) for b in buffers):
        total += max(end - max(start, reached), 0)
        reached = max(reached, end)
    return total


def _bytes_moved(step: Step, *, plain: bool) -> int:
    constants = sum(array.bytes(plain=plain) for array in step.arrays)
    kept = 2 * sum(tensor.bytes for tensor in step.kept)
    return sum(x.bytes for x in step.inputs) + kept + step.output.bytes + constants


def check_plan(
    graph: Graph, plan: Plan, layers: Sequence[LayerSize], kind: BoardKind, *, code_in_ram: bool = False
) -> None:
    """Refuse a model that can't fit whatever the rest of the firmware takes.

    Raises:
        ConfigError: constants are larger than the board's flash, or the arena, with `code_in_ram` beside the constants,
            than its largest RAM; says by how much and why.
    """
    flash = sum(layer.flash_bytes for layer in layers)
    largest = max(kind.memories, key=lambda ram: ram.size)
    need = ("weights, other constants and tensors" if code_in_ram else "the tensors") + " alone take"
    _refuse_excess(
        graph.source,
        kind,
        [
            ("flash", "weights and other constants alone take", flash, kind.flash.size),
            (largest.name, need, plan.arena_bytes + (flash if code_in_ram else 0), largest.size),
        ],
        explain(layers, plan.arena_bytes),
    )


def check_regions(source: str, kind: BoardKind, regions: Iterable[Region], why: Sequence[str]) -> None:
    """Refuse an image that is larger than the memory regions of the board's linker script.

    Raises:
        ConfigError: says which region, by how much, and what takes the most.
    """
    needs = [
        (region_title(region, kind), "the image needs", region.used_bytes, region.size_bytes) for region in regions
    ]
    _refuse_excess(source, kind, needs, why)


def region_title(region: Region, kind: BoardKind) -> str:
    """Return what a region of a linker script is called, with the memory that it is in where the kind names several."""
    ram = kind.memory_at(region.start)
    told = ram is None or len(kind.memories) == 1 or ram.name.replace(" ", "") == region.name
    return region.name if told or ram is None else f"{region.name} ({ram.name})"


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


def _refuse_excess(
    source: str, kind: BoardKind, needs: Sequence[tuple[str, str, int, int]], why: Sequence[str]
) -> None:
    problems = [
        f"{what}: {need} {used:,} B, there are {size:,} B: {used - size:,} B too many."
        for what, need, used, size in needs
        if used > size
    ]
    if problems:
        totals = {"flash": 0, "RAM": 0}
        for what, _, used, _ in needs:
            totals["flash" if what.lower() == "flash" else "RAM"] += used
        raise too_large(source, kind, problems, why, flash_bytes=totals["flash"], ram_bytes=totals["RAM"])


class TooLargeError(ConfigError):
    """An image that doesn't fit; `flash_bytes` and `ram_bytes` are what it needs at least."""

    def __init__(self, message: str, flash_bytes: int, ram_bytes: int) -> None:
        super().__init__(message)
        self.flash_bytes, self.ram_bytes = flash_bytes, ram_bytes


def too_large(
    source: str, kind: BoardKind, problems: Sequence[str], why: Sequence[str], *, flash_bytes: int, ram_bytes: int
) -> TooLargeError:
    """Return the error for an image that doesn't fit, to be raised by the caller."""
    lines = [f"{source} doesn't fit {kind.name} ({kind.title}):", *problems, *why]
    return TooLargeError("\n  ".join(lines), flash_bytes, ram_bytes)


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


def _shape(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "1"
