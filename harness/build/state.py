"""What a model remembers from one inference to the next: TFLite's resource variables, as tensors of the graph."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.build.fold import fold_constants
from harness.build.graph import ITEM_BYTES
from harness.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from harness.build.graph import Graph, Operator, Tensor


def first_state(tensor: Tensor) -> NDArray[np.generic]:
    """Return what a tensor that is kept between inferences holds before the first: what stands for 0."""
    zero = tensor.quantization.zero if tensor.dtype == "int8" and tensor.quantization is not None else 0
    return np.full(
        [max(size, 0) for size in tensor.shape], zero, tensor.dtype if tensor.dtype != "resource" else "int8"
    )


def with_state(graph: Graph, once: Sequence[Graph], where: str) -> Graph:
    """Return a graph whose variables are tensors in `state`, which READ_VARIABLE reads and ASSIGN_VARIABLE writes.

    The tensor of a variable takes the place of its first VAR_HANDLE's output.

    Args:
        graph: the model.
        once: the subgraphs that run before the first inference (CALL_ONCE); they may only assign constants.
        where: the file, with which errors begin.

    Raises:
        ConfigError: a variable has two types, or one that isn't known; an initial value isn't a constant.
    """
    handles = [operator for operator in graph.operators if operator.kind == "VAR_HANDLE"]
    roots: dict[str, int] = {}
    root_of = {o.outputs[0]: roots.setdefault(_name(o.options), o.outputs[0]) for o in handles}
    operators, values = _on_tensors(graph, root_of, where)
    tensors = [replace(values[t.index], index=t.index, data=None) if t.index in values else t for t in graph.tensors]
    state = {root: first_state(tensors[root]) for root in values}
    for name, data in _initial(once, where).items():
        root = roots.get(name, -1)
        if root in state:
            if (data.shape, data.dtype) != (state[root].shape, state[root].dtype):
                raise ConfigError(f"{where}: variable {name} begins as {data.dtype} {list(data.shape)}, unlike later.")
            state[root] = data
    return replace(graph, tensors=tuple(tensors), operators=operators, state={**graph.state, **state})


def _on_tensors(graph: Graph, root_of: Mapping[int, int], where: str) -> tuple[tuple[Operator, ...], dict[int, Tensor]]:
    """Return the operators with variables as tensors, and a tensor like each variable that is used."""
    operators: list[Operator] = []
    values: dict[int, Tensor] = {}
    for operator in graph.operators:
        if operator.kind in ("VAR_HANDLE", "CALL_ONCE"):
            continue
        if operator.kind not in ("READ_VARIABLE", "ASSIGN_VARIABLE"):
            operators.append(operator)
            continue
        root = root_of.get(operator.inputs[0])
        if root is None:
            raise ConfigError(f"{where}: operator {operator.index} ({operator.kind}) names no variable.")
        reads = operator.kind == "READ_VARIABLE"
        value = graph.tensors[operator.outputs[0] if reads else operator.inputs[1]]
        known = values.setdefault(root, value)
        if (known.shape, known.dtype) != (value.shape, value.dtype) or value.dtype not in ITEM_BYTES:
            what = f"is {known.dtype} {list(known.shape)} and {value.dtype} {list(value.shape)}"
            raise ConfigError(f"{where}: the variable of operator {operator.index} ({operator.kind}) {what}.")
        inputs, outputs = ((root,), operator.outputs) if reads else ((value.index,), (root,))
        operators.append(replace(operator, inputs=inputs, outputs=outputs))
    return tuple(operators), values


def _initial(once: Sequence[Graph], where: str) -> dict[str, NDArray[np.generic]]:
    """Return the values that initialisation assigns, by the name of the variable."""
    found: dict[str, NDArray[np.generic]] = {}
    for graph in once:
        folded = fold_constants(graph)
        names = {o.outputs[0]: _name(o.options) for o in folded.operators if o.kind == "VAR_HANDLE"}
        for operator in folded.operators:
            if operator.kind == "VAR_HANDLE":
                continue
            data = folded.tensors[operator.inputs[1]].data if operator.kind == "ASSIGN_VARIABLE" else None
            if data is None or operator.inputs[0] not in names:
                what = f"operator {operator.index} ({operator.kind}) of its initialisation (CALL_ONCE)"
                raise ConfigError(f"{where}: {what} does something else than assign a constant to a variable.")
            found[names[operator.inputs[0]]] = data
    return found


def _name(options: Mapping[str, Any]) -> str:
    return "/".join((options[field] or b"").decode() for field in ("Container", "SharedName"))
