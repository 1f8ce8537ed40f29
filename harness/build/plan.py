"""Places tensors and scratch buffers in the arena: two may share memory if they are never needed together."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from itertools import accumulate, permutations
from random import Random
from typing import TYPE_CHECKING

import numpy as np

from harness.build.lower import Piece, Place, Program, lower
from harness.build.overlap import Overlaps, overlap, overlaps
from harness.build.patch import cut
from harness.build.plain_scratch import with_plain_scratch
from harness.build.step import ALIGNMENT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from harness.build.graph import Graph
    from harness.build.stage import Patches
    from harness.build.step import Step

_MOST_BUFFERS_PLACED = 5_000  # when looking for a smaller arena
_BEGINNINGS = 4  # from which it is looked for


@dataclass(frozen=True)
class Buffer:
    """Memory needed from step `first` to step `last`; `key` tells a tensor (>= 0) or a step's scratch (< 0)."""

    key: int
    bytes: int
    first: int
    last: int


@dataclass(frozen=True)
class Plan:
    """Where everything lies.

    Attributes:
        steps: kernel calls in the order of execution.
        offsets: place of each tensor that has memory in the arena, by tensor index.
        scratch: place of each step's scratch buffer, by position in `steps`; 0 where it needs none.
        arena_bytes: size of the tensor arena.
        patches: how the first layers are cut, if they are.
        buffers: what the arena is made of.
        places: offset of each buffer, by its key.
        state: place of each tensor that lies in the memory that is kept between inferences, by tensor index.
        state_bytes: size of that memory.
        pieces: the parts that the input comes in, if it is read where it arrives; else it lies in the arena.
        arrived: place of each tensor in the part of the input that is there, by tensor index.
    """

    steps: tuple[Step, ...]
    offsets: Mapping[int, int]
    scratch: tuple[int, ...]
    arena_bytes: int
    patches: Patches | None = None
    buffers: tuple[Buffer, ...] = ()
    places: Mapping[int, int] = field(default_factory=dict)
    state: Mapping[int, int] = field(default_factory=dict)
    state_bytes: int = 0
    pieces: tuple[Piece, ...] = ()
    arrived: Mapping[int, int] = field(default_factory=dict)

    @property
    def input_bytes(self) -> int:
        """Size of the buffer that the input, or each part of it, arrives in, where it is read there; else 0."""
        return max((piece.bytes for piece in self.pieces), default=0)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one inference, those that patches repeat included."""
        return sum(step.macs for step in self.steps)

    @property
    def parameters(self) -> int:
        """Weights and biases of the model."""
        # patches and the turns of a loop are calls with the same weights
        return sum({tuple(map(id, step.arrays)): step.parameters for step in self.steps}.values())


def plan_memory(graph: Graph, patches: Patches | None = None, *, only_plain: bool = False) -> Plan:
    """Return the kernel calls of a graph, cut into patches or not, and a small arena for them.

    With `only_plain` the arena has no room for what fast kernels need.

    Raises:
        ConfigError: an operator isn't supported, or the layers can't be patched like that.
    """
    program = with_plain_scratch(lower(graph)) if only_plain else lower(graph)
    return plan_program(graph, program if patches is None else cut(graph, program, patches), patches)


def plan_program(graph: Graph, program: Program, patches: Patches | None) -> Plan:
    """Return the calls of a program and a small arena for them."""
    program = _in_place(graph, program)
    buffers = _buffers(graph, program)
    places = pack(buffers, _overlaps(program, buffers))
    size = max((places[b.key] + b.bytes for b in buffers), default=0)
    kept, state_bytes = {}, 0
    for root in graph.state:
        kept[root] = state_bytes
        state_bytes += _aligned(graph.tensors[root].bytes)
    return Plan(
        steps=program.steps,
        offsets=_offsets(program, places),
        scratch=tuple(places.get(-1 - i, 0) for i in range(len(program.steps))),
        arena_bytes=_aligned(size),
        patches=patches,
        buffers=tuple(buffers),
        places=places,
        state=_offsets(program, kept),
        state_bytes=state_bytes,
        pieces=program.pieces,
        arrived=_offsets(program, {graph.input.index: 0} if program.pieces else {}),
    )


def _offsets(program: Program, places: Mapping[int, int]) -> dict[int, int]:
    return {t: places[p.root] + p.offset for t, p in program.storage.items() if p.root in places}


def _overlaps(program: Program, buffers: Iterable[Buffer]) -> Overlaps:
    lives = [(buffer.key, buffer.first, buffer.last) for buffer in buffers]
    return overlaps(program, {key: first for key, first, _ in lives}, {key: last for key, _, last in lives})


def least_bytes(graph: Graph, program: Program) -> int:
    """Return what the arena of a program takes at least, or nearly so."""
    buffers = _buffers(graph, program)
    return _least(buffers, _overlaps(program, buffers))


def _least(buffers: Iterable[Buffer], may: Overlaps) -> int:
    """Return the most bytes that live together, less what overlaps: hardly any arena is smaller."""
    pool = {buffer.key: buffer for buffer in buffers}
    changes: defaultdict[int, int] = defaultdict(int)
    for buffer in pool.values():
        changes[buffer.first] += _aligned(buffer.bytes)
        changes[buffer.last + 1] -= _aligned(buffer.bytes)
    needs = dict(zip(sorted(changes), accumulate(changes[step] for step in sorted(changes)), strict=True))
    for (x, y), shared in may.items():
        needs[pool[y].first] -= shared.saved(_aligned(pool[x].bytes), _aligned(pool[y].bytes))
    return max(needs.values(), default=0)


def pack(buffers: Iterable[Buffer], may: Overlaps | None = None) -> dict[int, int]:
    """Return an offset for each buffer, so that of two that live together only those overlap that may, as they may.

    Several orders are tried, each buffer in turn at the lowest offset that is free during its life. In the orders with
    the smallest arenas, whatever ends at its top then gets an earlier turn, as long as that makes it no larger.
    """
    pool, may = list(buffers), may or {}
    if not pool:
        return {}
    ends = {buffer.key: buffer.bytes for buffer in pool}

    def tried(order: list[Buffer]) -> tuple[int, dict[int, int]]:
        places = _place(order, may)
        return max(at + ends[key] for key, at in places.items()), places

    def improved(found: tuple[int, dict[int, int]], order: list[Buffer]) -> tuple[int, dict[int, int]]:
        (size, places), chance = found, Random(0)  # noqa: S311 (no secret; the same plan every time)
        for _ in range(_MOST_BUFFERS_PLACED // len(pool) // _BEGINNINGS):
            if size <= least:
                break
            at = max(range(len(order)), key=lambda i: places[order[i].key] + order[i].bytes)
            moved = [*order[:at], *order[at + 1 :]]
            moved.insert(chance.randrange(at + 1), order[at])
            now, then = tried(moved)
            if now <= size:
                size, places, order = now, then, moved
        return size, places

    least = _least(pool, may)
    begun = sorted(((tried(order), order) for order in _orders(pool)), key=lambda begin: begin[0][0])[:_BEGINNINGS]
    best = begun[0][0]
    for found, order in begun:
        if best[0] > least:
            best = min(best, improved(found, order), key=lambda found: found[0])
    return best[1]


def _orders(pool: list[Buffer]) -> Iterator[list[Buffer]]:
    largest = sorted(pool, key=lambda b: (-b.bytes, b.first, b.key))
    yield largest
    yield sorted(pool, key=lambda b: (-b.bytes * (b.last - b.first + 1), b.first, b.key))
    yield sorted(pool, key=lambda b: (b.first, -b.bytes, b.key))
    yield sorted(pool, key=lambda b: (-b.last, -b.bytes, b.key))
    # The step that needs most first: what lives there is laid out without gaps, in any order.
    alive = [
        [b for b in pool if b.first <= step <= b.last] for step in range(max((b.last for b in pool), default=0) + 1)
    ]
    together = max(alive, key=lambda buffers: sum(b.bytes for b in buffers))
    if len(together) <= 4:  # 24 orders at most
        others = [b for b in largest if b not in together]
        for order in permutations(together):
            yield [*order, *others]


def _place(order: list[Buffer], may: Overlaps) -> dict[int, int]:
    places: list[int] = []
    first, last = np.array([(buffer.first, buffer.last) for buffer in order], np.int64).T
    for index, buffer in enumerate(order):
        together = np.flatnonzero((first[:index] <= buffer.last) & (last[:index] >= buffer.first))
        size, taken = _aligned(buffer.bytes), []  # offsets between which the buffer can't begin
        for at, other in ((places[i], order[i]) for i in together.tolist()):
            low, high = at - size, at + _aligned(other.bytes)
            if shared := may.get((other.key, buffer.key)):
                taken += [(low, at), (at, high)] if shared.exact else [(at - shared.lead, high)]
            elif shared := may.get((buffer.key, other.key)):
                taken += [(low, at), (at, high)] if shared.exact else [(low, at + shared.lead)]
            else:
                taken.append((low, high))
        offset = 0
        for low, high in sorted(taken):
            if low < offset < high:
                offset = high
        places.append(offset)
    return {buffer.key: offset for buffer, offset in zip(order, places, strict=True)}


def _in_place(graph: Graph, program: Program) -> Program:
    """Let each step that can work in place do so where nothing reads its first input afterwards."""
    storage = dict(program.storage)
    kept = {storage[tensor.index].root for tensor in graph.outputs} | set(graph.state)
    written: set[int] = set()
    if program.pieces:
        kept.add(graph.input.index)  # inferences may be repeated
    for position, step in enumerate(program.steps):
        target, before = storage[step.output.index], set(written)
        written.add(target.root)
        if not step.inputs or step.inputs[0].bytes != step.output.bytes or target.offset or target.root in before:
            continue
        may = overlap(step, step.inputs[0])
        if not step.in_place and (may is None or may.lead):
            continue
        source = storage[step.inputs[0].index]
        later = [x for s in program.steps[position + 1 :] for x in s.inputs]
        still_read = any(storage[x.index].root == source.root for x in [*step.inputs[1:], *later])
        if not still_read and source.root not in kept:
            for tensor, place in storage.items():
                if place.root == target.root:
                    storage[tensor] = Place(source.root, source.offset + place.offset)
            written.add(source.root)
            if target.root in kept:
                kept.add(source.root)
    return replace(program, storage=storage)


def _buffers(graph: Graph, program: Program) -> list[Buffer]:
    """Return every buffer with its life. Inputs live from the start, outputs to the end."""
    roots = {} if program.pieces else {program.storage[tensor.index].root: tensor for tensor in graph.inputs}
    first, last = dict.fromkeys(roots, 0), dict.fromkeys(roots, 0)
    size = {root: tensor.bytes for root, tensor in roots.items()}
    for position, step in enumerate(program.steps):
        for tensor, overread in (*((x, step.overread_bytes) for x in step.inputs), (step.output, 0)):
            place = program.storage[tensor.index]
            first.setdefault(place.root, position)
            last[place.root] = position
            whole = graph.tensors[place.root].bytes if place.root < len(graph.tensors) else 0
            # a patch's rows lie further apart in the whole image than its own bytes tell
            size[place.root] = max(size.get(place.root, whole), place.offset + tensor.bytes + overread)
    for tensor in graph.outputs:
        last[program.storage[tensor.index].root] = len(program.steps)
    elsewhere = {*graph.state, *([graph.input.index] if program.pieces else [])}
    buffers = [Buffer(key, size[key], first[key], last[key]) for key in size if key not in elsewhere]
    for position, step in enumerate(program.steps):
        if step.scratch_bytes:
            buffers.append(Buffer(-1 - position, step.scratch_bytes, position, position))
    return buffers


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT
