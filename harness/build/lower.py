"""From the operators of a graph to kernel calls."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from harness.build.fold import fold
from harness.build.lower_move import assign_variable
from harness.build.operators import KINDS, PAIRS
from harness.build.refusals import no_kernel, report
from harness.build.step import Alias, Array, Node, RefusedError, Step

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from harness.build.graph import Graph, Operator


@dataclass(frozen=True)
class Place:
    """Where a tensor lies: `offset` bytes behind the start of tensor `root`, which has memory of its own."""

    root: int
    offset: int = 0


@dataclass(frozen=True)
class Piece:
    """A part of the input, and how many calls follow when it is there."""

    start: int
    bytes: int
    calls: int


@dataclass(frozen=True)
class Program:
    """Kernel calls in the order of execution, every tensor by its index, and the memory that each stands for.

    With `pieces` the input has no memory of its own: its parts are read where they arrive, one after the other.
    """

    steps: tuple[Step, ...]
    storage: Mapping[int, Place]
    pieces: tuple[Piece, ...] = ()


def lower(graph: Graph) -> Program:
    """Return the kernel calls that compute a graph.

    Raises:
        ConfigError: operators, or a form of them, have no kernel. Names each reason once, and what can be done.
    """
    graph = fold(graph)
    program, overtaken = _lower(graph, set())
    program = _lower(graph, overtaken)[0] if overtaken else program
    return replace(program, steps=_with_shared(graph, program.steps))


def _with_shared(graph: Graph, steps: Sequence[Step]) -> tuple[Step, ...]:
    """Return the calls with one array for what several make of the same constants, as the turns of a loop do."""
    first: dict[object, Array] = {}

    def shared(step: Step, array: Array) -> Array:
        sources = tuple(i for i in step.operator.inputs if i >= 0 and graph.tensors[i].data is not None)
        contents = tuple(
            v if isinstance(v, tuple) else (v.dtype, v.tobytes()) for v in (array.of(plain=False), array.of(plain=True))
        )
        return first.setdefault((sources, array.name, contents), array)

    return tuple(replace(step, arrays=tuple(shared(step, array) for array in step.arrays)) for step in steps)


def _lower(graph: Graph, copied: set[int]) -> tuple[Program, set[int]]:
    """Return the kernel calls, and the variables that are assigned before what was read of them is used.

    READ_VARIABLE copies those in `copied`; the others are read where they lie.
    """
    steps: list[Step] = []
    storage = {tensor.index: Place(tensor.index) for tensor in graph.tensors}
    named: dict[int, int] = {}  # how many steps there were when a tensor became another name
    refusals: list[RefusedError] = []
    for operator in graph.operators:
        try:
            made = _made(graph, operator, copied)
        except RefusedError as error:
            refusals.append(error)
            continue
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            what = f"damaged ({error!r})"
            refusals.append(RefusedError(graph.source, operator, what, "a valid file; export it again"))
            continue
        layer = steps[-1].layer + 1 if steps else 0
        for part in made:
            if isinstance(part, Step):
                steps.append(replace(part, layer=layer))
                continue
            place = storage[part.source.index]
            storage[part.output.index] = Place(place.root, place.offset + part.offset)
            named[part.output.index] = len(steps)
    computed = {storage[t.index].root for t in (*graph.inputs, *(step.output for step in steps))} | set(graph.state)
    constant = any(storage[tensor.index].root not in computed for tensor in graph.outputs)
    report(graph, refusals, constant=constant and not refusals)
    uses = [(x.index, position) for position, step in enumerate(steps) for x in step.inputs]
    uses += [(tensor.index, len(steps)) for tensor in graph.outputs]
    assigned = [
        (step.output.index, position) for position, step in enumerate(steps) if step.output.index in graph.state
    ]
    overtaken = {
        variable
        for variable, written in assigned
        for tensor, used in uses
        if storage[tensor].root == variable and tensor in named and named[tensor] <= written < used
    }
    return Program(tuple(steps), storage), overtaken


def _made(graph: Graph, operator: Operator, copied: set[int]) -> Sequence[Step | Alias]:
    """Return the calls of an operator, and the tensors that it only gives another name."""
    kind = KINDS.get(operator.kind)
    main = 0 if kind is None else kind.main
    if len(operator.inputs) <= main or not operator.outputs or operator.inputs[main] < 0 or operator.outputs[0] < 0:
        what = "no first input or output"
        raise RefusedError(graph.source, operator, what, "an operator that computes on its input")
    y = graph.tensors[operator.outputs[0]]
    x = y if main < 0 else graph.tensors[operator.inputs[main]]
    node = Node(graph, operator, x, y)
    if node.x.data is not None and operator.kind in PAIRS:
        node = replace(node, x=node.second)
    if node.x.data is not None and kind is not None:
        raise node.refused("a constant input", "a model whose constants were folded by the converter")
    lowering = None if kind is None else kind.lower.get(f"{node.x.dtype} to {node.y.dtype}")
    if lowering is None:
        raise no_kernel(node, known=kind is not None)
    if operator.kind == "READ_VARIABLE" and operator.inputs[0] in copied:
        lowering = assign_variable
    made = lowering(node)
    return made if isinstance(made, tuple) else (made,)
