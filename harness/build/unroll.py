"""Loops whose number of turns is known (WHILE, as converters write a GRU), as the operators of each turn."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from harness.build.fold import folded
from harness.build.graph import Operator
from harness.build.signal_state import KEPT
from harness.build.step import RefusedError
from harness.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from harness.build.graph import Graph, Tensor

#: Each takes a call and its place in the plan.
_MOST_OPERATORS = 4096


def unrolled(graph: Graph, subgraph: Callable[[int], Graph]) -> Graph:
    """Return a graph without loops. Its operators are counted anew; all turns share the loop's constants.

    Args:
        graph: the model.
        subgraph: returns one of its other subgraphs by number.

    Raises:
        ConfigError: how often a loop turns isn't known before it runs, or it makes more operators than can be compiled.
    """
    if all(operator.kind != "WHILE" for operator in graph.operators):
        return graph
    work = _Unrolling(graph)
    for operator in graph.operators:
        if operator.kind == "WHILE":
            work.loop(operator, *(subgraph(operator.options[f"{part}SubgraphIndex"]) for part in ("Cond", "Body")))
        else:
            work.add(operator, [work.used(index) for index in operator.inputs], operator.outputs)
    outputs = [replace(work.tensors[work.used(tensor.index)], name=tensor.name) for tensor in graph.outputs]
    for tensor in outputs:
        work.tensors[tensor.index] = tensor
    operators = tuple(replace(operator, index=index) for index, operator in enumerate(work.operators))
    return replace(graph, tensors=tuple(work.tensors), operators=operators, outputs=tuple(outputs))


class _Unrolling:
    """A graph that is being unrolled; tensors are called by their index.

    Attributes:
        tensors: those of the model, and behind them those of each turn.
        operators: what isn't known yet.
    """

    def __init__(self, graph: Graph) -> None:
        self.tensors: list[Tensor] = list(graph.tensors)
        self.operators: list[Operator] = []
        self._graph = replace(graph, tensors=self.tensors)
        self._becomes: dict[int, int] = {}  # what a loop's outputs are after the last turn
        self._rows: dict[int, list[int]] = {}  # tensors that are known row by row, as a loop collects its outputs

    def loop(self, operator: Operator, condition: Graph, body: Graph) -> None:
        """Add the operators of each turn."""
        values = [self.used(index) for index in operator.inputs]
        kept: dict[int, int] = {}
        asked: dict[int, int] = {}
        for _ in range(_MOST_OPERATORS):
            (answer,) = self._turn(operator, condition, values, asked)
            goes_on = self.tensors[answer].data
            if goes_on is None:
                what = "how often it turns isn't known before it runs"
                raise RefusedError(
                    self._graph.source, operator, what, "a loop over the steps of an input of fixed size"
                )
            if not goes_on.any():
                self._becomes.update(zip(operator.outputs, values, strict=True))
                return
            values = self._turn(operator, body, values, kept)
        raise self._too_long()

    def _too_long(self) -> ConfigError:
        what = f"{self._graph.source}: its loops make more than {_MOST_OPERATORS:,} operators."
        return ConfigError(f"{what} Give it fewer steps, or an LSTM, which is one operator.")

    def _turn(self, loop: Operator, part: Graph, values: Sequence[int], kept: dict[int, int]) -> list[int]:
        """Add a subgraph's operators and return its outputs; its constants are added once, to `kept`."""
        if part.state or any(operator.kind == "WHILE" or operator.kind in KEPT for operator in part.operators):
            what = "a loop with another loop or a state in it"
            raise RefusedError(self._graph.source, loop, what, "the layer with unroll=True")
        here = dict(zip((tensor.index for tensor in part.inputs), values, strict=True))

        def of(index: int) -> int:
            tensor = part.tensors[index] if index >= 0 else None
            if tensor is None or index in here:
                return here.get(index, -1)
            if tensor.data is not None:
                if index not in kept:
                    kept[index] = self._new(tensor)
                return kept[index]
            return here.setdefault(index, self._new(tensor))

        for operator in part.operators:
            self.add(operator, [of(index) for index in operator.inputs], [of(index) for index in operator.outputs])
        return [of(tensor.index) for tensor in part.outputs]

    def _new(self, tensor: Tensor) -> int:
        self.tensors.append(replace(tensor, index=len(self.tensors)))
        return len(self.tensors) - 1

    def add(self, operator: Operator, inputs: Sequence[int], outputs: Sequence[int]) -> None:
        """Add an operator, or what it gives if that is known."""
        operator = replace(operator, inputs=tuple(inputs), outputs=tuple(outputs))
        by_rows = {"CONCATENATION": self._joined, "SLICE": self._sliced}.get(operator.kind)
        rows = None if by_rows is None else by_rows(operator)
        if rows is not None:
            self._rows[operator.outputs[0]] = rows
            return
        operator = replace(operator, inputs=tuple(self.used(index) for index in inputs))
        known = None if operator.kind == "DEQUANTIZE" else folded(self._graph, operator)
        if known is None:
            self.operators.append(operator)
        for tensor in known or ():
            self.tensors[tensor.index] = tensor
        if len(self.operators) > _MOST_OPERATORS:
            raise self._too_long()

    def _joined(self, operator: Operator) -> list[int] | None:
        """Return the rows of a CONCATENATION of what is known by rows; None if nothing of it is."""
        first = self.tensors[operator.inputs[0]]
        if operator.options["Axis"] % len(first.shape) or not any(index in self._rows for index in operator.inputs):
            return None
        parts = [self._rows_of(index) for index in operator.inputs]
        return None if None in parts else [row for part in parts for row in part or ()]

    def _sliced(self, operator: Operator) -> list[int] | None:
        """Return the rows that a SLICE takes of what is known by rows; None if it takes anything else."""
        source, (begin, size) = self.tensors[operator.inputs[0]], (self.tensors[i].data for i in operator.inputs[1:])
        if begin is None or size is None or begin[1:].any():
            return None
        if any(n not in (-1, whole) for n, whole in zip(size[1:].tolist(), source.shape[1:], strict=True)):
            return None
        rows, first, count = self._rows_of(source.index), int(begin[0]), int(size[0])
        return None if rows is None else rows[first : first + count if count >= 0 else None]

    def _rows_of(self, index: int) -> list[int] | None:
        """Return the rows of a tensor: of one that is collected, of a constant, of one that is a row itself."""
        tensor = self.tensors[index]
        if index in self._rows:
            return self._rows[index]
        if not tensor.shape or (tensor.data is None and tensor.shape[0] != 1):
            return None
        if tensor.data is None or tensor.shape[0] == 1:
            return [index]
        row = (1, *tensor.shape[1:])
        return [self._new(replace(tensor, shape=row, data=part.reshape(row))) for part in tensor.data]

    def used(self, index: int) -> int:
        """Return the tensor that holds a value, put together of its rows if it is known by them."""
        index = self._becomes.get(index, index)
        rows = self._rows.get(index)
        if rows is None or self.tensors[index].data is not None:
            return index
        del self._rows[index]
        self.tensors[index] = replace(self.tensors[index], shape=(len(rows), *self.tensors[rows[0]].shape[1:]))
        options = {"Axis": 0, "FusedActivationFunction": 0}
        self.add(Operator(0, "CONCATENATION", (), (), options), rows, (index,))
        return index
