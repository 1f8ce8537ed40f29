"""Places tensors and scratch buffers in the arena: two may share memory if they are never needed together."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations
from typing import TYPE_CHECKING

from harness.build.lower import Place, Program, lower

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from harness.build.graph import Graph
    from harness.build.step import Step

ALIGNMENT = 4  # kernels load words


@dataclass(frozen=True)
class Plan:
    """Where everything lies.

    Attributes:
        steps: kernel calls in the order of execution.
        offsets: place of each tensor that has memory in the arena, by tensor index.
        scratch: place of each step's scratch buffer, by position in `steps`; 0 where it needs none.
        arena_bytes: size of the arena.
    """

    steps: tuple[Step, ...]
    offsets: Mapping[int, int]
    scratch: tuple[int, ...]
    arena_bytes: int

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one inference."""
        return sum(step.macs for step in self.steps)

    @property
    def parameters(self) -> int:
        """Weights and biases of the model."""
        return sum(step.parameters for step in self.steps)

    @property
    def flash_bytes(self) -> int:
        """Flash that weights and the other constants of the fast kernels take, without code."""
        return sum(step.flash_bytes for step in self.steps)


@dataclass(frozen=True)
class Buffer:
    """Memory needed from step `first` to step `last`; `key` tells a tensor (>= 0) or a step's scratch (< 0)."""

    key: int
    bytes: int
    first: int
    last: int


def plan_memory(graph: Graph) -> Plan:
    """Return the kernel calls of a graph and a small arena for them.

    Raises:
        ConfigError: an operator isn't supported.
    """
    program = _in_place(lower(graph))
    buffers = _buffers(graph, program)
    places = pack(buffers)
    size = max((places[b.key] + b.bytes for b in buffers), default=0)
    return Plan(
        steps=program.steps,
        offsets={t: places[p.root] + p.offset for t, p in program.storage.items() if p.root in places},
        scratch=tuple(places.get(-1 - i, 0) for i in range(len(program.steps))),
        arena_bytes=_aligned(size),
    )


def pack(buffers: Iterable[Buffer]) -> dict[int, int]:
    """Return an offset for each buffer, so that no two that live together overlap.

    Several orders are tried, each buffer in turn at the lowest offset that is free during its life; the smallest
    arena wins.
    """
    pool = list(buffers)
    tries = [_place(order) for order in _orders(pool)]
    sizes = {buffer.key: buffer.bytes for buffer in pool}
    return min(tries, key=lambda places: max((at + sizes[key] for key, at in places.items()), default=0))


def _orders(pool: list[Buffer]) -> Iterator[list[Buffer]]:
    yield sorted(pool, key=lambda b: (-b.bytes, b.first, b.key))
    yield sorted(pool, key=lambda b: (-b.bytes * (b.last - b.first + 1), b.first, b.key))
    yield sorted(pool, key=lambda b: (b.first, -b.bytes, b.key))
    yield sorted(pool, key=lambda b: (-b.last, -b.bytes, b.key))
    # The step that needs most first: what lives there is laid out without gaps, in any order.
    if pool:
        steps = range(max(b.last for b in pool) + 1)
        worst = max(steps, key=lambda s: sum(b.bytes for b in pool if b.first <= s <= b.last))
        together = [b for b in pool if b.first <= worst <= b.last]
        others = sorted((b for b in pool if b not in together), key=lambda b: (-b.bytes, b.first, b.key))
        if len(together) <= 4:  # 24 orders at most
            for order in permutations(together):
                yield [*order, *others]


def _place(order: list[Buffer]) -> dict[int, int]:
    placed: list[tuple[int, Buffer]] = []
    for buffer in order:
        rivals = sorted(
            (at, at + _aligned(other.bytes))
            for at, other in placed
            if other.first <= buffer.last and buffer.first <= other.last
        )
        offset = 0
        for start, end in rivals:
            if offset + _aligned(buffer.bytes) <= start:
                break
            offset = max(offset, end)
        placed.append((offset, buffer))
    return {buffer.key: offset for offset, buffer in placed}


def _in_place(program: Program) -> Program:
    """Let each step that can work in place do so where nothing reads its first input afterwards."""
    storage = dict(program.storage)
    for position, step in enumerate(program.steps):
        source, target = storage[step.inputs[0].index], storage[step.output.index]
        later = [x for s in program.steps[position + 1 :] for x in s.inputs]
        still_read = any(storage[x.index].root == source.root for x in [*step.inputs[1:], *later])
        if step.in_place and step.inputs[0].bytes == step.output.bytes and not still_read:
            moved = {
                t: Place(source.root, source.offset + p.offset) for t, p in storage.items() if p.root == target.root
            }
            storage.update(moved)
    return Program(program.steps, storage)


def _buffers(graph: Graph, program: Program) -> list[Buffer]:
    """Return every buffer with its life. The input lives from the start, the output to the end."""
    start = program.storage[graph.input.index].root
    first, last, size = {start: 0}, {start: 0}, {start: graph.input.bytes}
    for position, step in enumerate(program.steps):
        for tensor, overread in (*((x, step.overread_bytes) for x in step.inputs), (step.output, 0)):
            place = program.storage[tensor.index]
            first.setdefault(place.root, position)
            last[place.root] = position
            size[place.root] = max(size.get(place.root, 0), place.offset + tensor.bytes + overread)
    last[program.storage[graph.output.index].root] = max(len(program.steps) - 1, 0)
    buffers = [Buffer(key, size[key], first[key], last[key]) for key in size]
    for position, step in enumerate(program.steps):
        if step.scratch_bytes:
            buffers.append(Buffer(-1 - position, step.scratch_bytes, position, position))
    return buffers


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT
