"""Dilated convolutions that a converter wrote as ordinary ones over an image in pieces: put together again.

SPACE_TO_BATCH_ND pads an image and takes every d-th pixel of it into one of d x d images, BATCH_TO_SPACE_ND puts what
a convolution made of those back into one and crops it: a convolution of dilation d of the padded image.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from harness.build.operators import UNARY
from harness.build.views import RENAMES

if TYPE_CHECKING:
    from harness.build.graph import Graph, Operator, Tensor

_CONVOLUTIONS = ("CONV_2D", "DEPTHWISE_CONV_2D")
_PLAIN = {"StrideH": 1, "StrideW": 1, "DilationHFactor": 1, "DilationWFactor": 1, "Padding": 1}


@dataclass(frozen=True)
class _Chain:
    """From an operator that cuts an image to the one that puts it together, with one convolution between them."""

    operators: tuple[Operator, ...]
    convolution: Operator


def with_dilation(graph: Graph) -> Graph:
    """Return the graph with each such chain as one dilated convolution; those of another form stay."""
    tensors, operators = list(graph.tensors), {operator.index: operator for operator in graph.operators}
    for operator in graph.operators:
        chain = _chain_from(graph, operator) if operator.kind == "SPACE_TO_BATCH_ND" else None
        made = None if chain is None else _together(graph, chain)
        if made is None:
            continue
        for tensor in made[0]:
            tensors[tensor.index] = tensor
        operators |= {changed.index: changed for changed in made[1]}
    return replace(graph, tensors=tuple(tensors), operators=tuple(operators.values()))


def _chain_from(graph: Graph, first: Operator) -> _Chain | None:
    operators, convolution = [first], None
    kept = {tensor.index for tensor in graph.outputs}
    while operators[-1].kind != "BATCH_TO_SPACE_ND":
        made = operators[-1].outputs[0]
        readers = [operator for operator in graph.operators if made in operator.inputs]
        if len(readers) != 1 or made in kept or readers[0].inputs[0] != made:
            return None
        reader = readers[0]
        if reader.kind in _CONVOLUTIONS and convolution is None:
            convolution = reader
        elif reader.kind not in ("BATCH_TO_SPACE_ND", *RENAMES, *UNARY):
            return None
        operators.append(reader)
    return None if convolution is None else _Chain(tuple(operators), convolution)


def _together(graph: Graph, chain: _Chain) -> tuple[list[Tensor], list[Operator]] | None:
    """Return the tensors and operators of a chain as those of a dilated convolution; None if they don't come to one."""
    (first, *_, last), convolution = chain.operators, chain.convolution
    x, y = graph.tensors[first.inputs[0]], graph.tensors[last.outputs[0]]
    cut, joined = graph.tensors[first.outputs[0]], graph.tensors[last.inputs[0]]
    image = graph.tensors[convolution.inputs[0]]
    blocks, pads, again, crops = (
        _numbers(graph, operator, at) for operator, at in ((first, 1), (first, 2), (last, 1), (last, 2))
    )
    rank = len(x.shape)
    if blocks is None or pads is None or crops is None or again != blocks or rank not in (3, 4):
        return None
    odd = any(convolution.options.get(name, 1) != value for name, value in _PLAIN.items())
    if odd or x.shape[0] != 1 or len(blocks) != rank - 2:
        return None
    if (x.quantization, y.quantization) != (cut.quantization, joined.quantization) or len(image.shape) != 4:
        return None
    dilation, before = list(blocks), [pad - crop for pad, crop in zip(pads[::2], crops[::2], strict=True)]
    position = 1 if image.shape[1] == 1 else 2  # where a dimension of 1 stands in an image of a series
    if rank == 3:
        dilation.insert(position - 1, 1)
        before.insert(position - 1, 0)
    of_image = x.shape if rank == 4 else (*x.shape[:position], 1, *x.shape[position:])
    of_result = y.shape if rank == 4 else (*y.shape[:position], 1, *y.shape[position:])
    reach = [(k - 1) * d for k, d in zip(graph.tensors[convolution.inputs[1]].shape[1:3], dilation, strict=True)]
    seen = any(before) or any(o + more > i for o, more, i in zip(of_result[1:3], reach, of_image[1:3], strict=True))
    if min(before) < 0 or (seen and x.dtype != "float32"):  # TFLite Micro pads integers with what is in memory
        return None
    shapes, tensors, operators = {rank: x.shape, 4: of_image}, [], []
    for operator in chain.operators[:-1]:
        options = operator.options
        if operator is convolution:
            shapes = {rank: y.shape, 4: of_result}
            dilated = {"DilationHFactor": dilation[0], "DilationWFactor": dilation[1], "Pads": tuple(before)}
            operators.append(replace(operator, options={**options, **dilated}))
        made = graph.tensors[operator.outputs[0]]
        if len(made.shape) not in shapes:
            return None
        tensors.append(replace(made, shape=shapes[len(made.shape)]))
    operators += [replace(end, kind="RESHAPE", inputs=end.inputs[:1], options={}) for end in (first, last)]
    return tensors, operators


def _numbers(graph: Graph, operator: Operator, position: int) -> tuple[int, ...] | None:
    data = graph.tensors[operator.inputs[position]].data
    return None if data is None else tuple(int(value) for value in data.ravel())
