"""From recurrent layers to kernel calls. Their state lies in tensors of the model that are kept between inferences."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from harness.build import lower_int16
from harness.build.lookup import sigmoid_steps
from harness.build.lower_layers import groups_of_eight, packed_rows
from harness.build.lower_move import check_scales
from harness.build.requantize import quantize_multiplier
from harness.build.step import Array

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from harness.build.graph import Tensor
    from harness.build.step import Node, Step

_TANH = 4  # TFLite's ActivationFunctionType
_GATES = 4  # input, forget, cell, output

#: Weights and biases, by the activations' type.
_LSTM_TYPES = {"int8": ("int8", "int32"), "int16": ("int8", "int64"), "float32": ("float32", "float32")}

_WEIGHTS = ("weights", "recurrent_weights")

#: What a gate's function takes (12 bits behind the point) and gives (15 bits).
_GATE_SCALE, _FUNCTION_SCALE = 2.0**-12, 2.0**-15


def lstm(node: Node) -> Step:
    """Return the call of an LSTM as Keras has it: no peepholes, no projection, no normalization."""
    tensors = node.tensors
    if any(tensors[i] is not None for i in (*range(9, 12), 16, 17, *range(20, 24))):
        raise node.refused("peepholes, a projection or layer normalization", "a plain LSTM, as Keras makes it")
    if node.activation != _TANH:
        raise node.refused(f"activation {node.activation} of its cells", "tanh")
    hidden, cell = _state(node, 18), _state(node, 19)
    x, y = node.x.shape, node.y.shape
    major = node.option("TimeMajor")
    (steps, batches), units = (x[:2] if major else x[1::-1]), y[-1]
    if len(x) != 3 or y != (*x[:2], units) or hidden.elements != batches * units or cell.elements != hidden.elements:
        raise ValueError(f"input {x}, output {y}, state {hidden.shape} and {cell.shape}")
    of_weights, of_biases = _LSTM_TYPES[node.x.dtype]
    weights = [_constant(node, i, of_weights, (units, x[2] if i < 5 else units)) for i in range(1, 9)]
    biases = np.stack([_constant(node, i, of_biases, (units,)) for i in range(12, 16)], axis=1)
    strides = {"batch_stride": 1 if major else steps, "step_stride": batches if major else 1}
    sizes = {"batches": batches, "steps": steps, "inputs": x[2], "units": units, **strides}
    rows = [np.stack(part, axis=1).reshape(_GATES * units, -1) for part in (weights[:4], weights[4:])]
    clip = float(node.operator.options["CellClip"])
    more = {
        "kept": (hidden, cell),
        "macs": batches * steps * sum(part.size for part in rows),
        "parameters": sum(part.size for part in (*rows, biases)),
    }
    if node.x.dtype == "float32":
        limit = f"{clip!r}f" if clip > 0 else "INFINITY"
        return node.step(
            "hil_lstm_f32",
            "hil_lstm_f32",
            sizes | {"cell_clip": limit},
            *(Array(name, groups_of_eight(part)) for name, part in zip(_WEIGHTS, rows, strict=True)),
            Array("bias", biases),
            **more,
        )
    if node.x.dtype == "int16":
        return node.step(
            "hil_lstm_s16",
            "hil_lstm_s8",
            sizes | _scalings(node, hidden, cell, clip),
            *(Array(name, part) for name, part in zip(_WEIGHTS, rows, strict=True)),
            Array("wide_bias", biases),
            Array("sigmoid", sigmoid_steps()),
            **more,
        )
    zeros = node.quantization(node.x).zero, node.quantization(hidden).zero
    back = np.zeros_like(biases)
    offsets = [
        part - zero * values.astype(np.int64).sum(axis=1).reshape(units, _GATES)
        for part, values, zero in zip((biases, back), rows, zeros, strict=True)
    ]
    pairs = [packed_rows(part[:, np.newaxis, :]) for part in rows]
    packed = units > 1 and all(part is not None for part in pairs)
    arrays = tuple(
        Array(name, pair if packed and pair is not None else part, part)
        for name, pair, part in zip(_WEIGHTS, pairs, rows, strict=True)
    )
    return node.step(
        "hil_lstm_s8" if packed else "hil_lstm_s8_plain",
        "hil_lstm_s8",
        sizes | _scalings(node, hidden, cell, clip),
        *arrays,
        Array("bias", np.concatenate(offsets, axis=1).astype(np.int32)),
        Array("sigmoid", sigmoid_steps()),
        has_plain=packed,
        overread_bytes=-x[2] % 4 if packed else 0,
        **more,
    )


def svdf(node: Node) -> Step:
    """Return the call of an SVDF, whose state of int8 or int16 has the weights over time in its type."""
    state, (batches, inputs) = _state(node, 4), node.x.shape
    filters, rank = node.second.shape[0], node.option("Rank")
    memory = state.elements // (batches * filters)
    units = filters // rank
    if units * rank != filters or batches * filters * memory != state.elements or node.y.shape != (batches, units):
        raise ValueError(f"rank {rank} of {filters} filters, state {state.shape}, output {node.y.shape}")
    float32 = node.x.dtype == "float32"
    weights = _constant(node, 1, node.x.dtype, (filters, inputs))
    time = _constant(node, 2, state.dtype, (filters, memory))
    bias = _constant(node, 3, "float32" if float32 else "int32", (units,))
    sizes = {"batches": batches, "inputs": inputs, "filters": filters, "rank": rank, "memory": memory}
    more = {
        "kept": (state,),
        "macs": batches * (weights.size + time.size),
        "parameters": weights.size + time.size + bias.size,
    }
    if float32:
        arrays = (Array("weights", groups_of_eight(weights)), Array("time", time), Array("bias", bias))
        return node.step("hil_svdf_f32", "hil_svdf_f32", sizes | node.float_limits(), *arrays, **more)
    if state.dtype not in ("int8", "int16"):
        raise node.refused(f"a state of {state.dtype}", "one of int8 or int16")
    kept, x, y = (node.quantization(tensor) for tensor in (state, node.x, node.y))
    scales = [x.scale, _weight_scale(node, 1), kept.scale, _weight_scale(node, 2), y.scale]
    packed, wide = packed_rows(weights[:, np.newaxis, :]), state.dtype == "int16"
    kernel = "hil_svdf_s8_s16" if wide else "hil_svdf_s8"
    offsets = -x.zero * weights.astype(np.int64).sum(axis=1)
    return node.step(
        kernel if packed is not None else f"{kernel}_plain",
        "hil_svdf_s8",
        sizes
        | {
            "feature": _scaling(scales[0] * scales[1] / scales[2]),
            "output": _scaling(scales[2] * scales[3] / scales[4]),
            "state_zero": kept.zero,
            "out_zero": y.zero,
        },
        Array("weights", weights if packed is None else packed, weights),
        Array("offsets", offsets.astype(np.int32)),
        Array("time_s16" if wide else "time_s8", time),
        Array("bias", bias),
        has_plain=packed is not None,
        overread_bytes=-inputs % 4,
        **more,
    )


def _scalings(node: Node, hidden: Tensor, cell: Tensor, clip: float) -> dict[str, object]:
    """Return the fields of struct hil_lstm_s8 that follow from scales, computed as TFLite Micro does."""
    check_scales(node, hidden, node.y)
    out, inside, wide = node.quantization(hidden), node.quantization(cell), node.x.dtype == "int16"
    if wide:
        lower_int16.scale(node, node.x), lower_int16.scale(node, hidden)
    power = round(math.log2(inside.scale))
    if cell.dtype != "int16" or inside.zero or inside.scale != 2.0**power or not -20 < power <= -2:
        what = f"a cell state of {cell.dtype} with scale {inside.scale} and zero point {inside.zero}"
        raise node.refused(what, "int16 with a scale that is a power of two, as TFLite prescribes")

    def gates(first: int, scale: float) -> str:
        products = [scale * _weight_scale(node, first + i) for i in range(_GATES)]
        return "{" + ", ".join(_scaling(product / _GATE_SCALE, wide=wide) for product in products) + "}"

    left = 12 + power
    clipped = int(min(clip / inside.scale, 32767.0))
    return {
        "input": gates(1, node.quantization(node.x).scale),
        "recurrent": gates(5, out.scale),
        "kept": _scaling(_FUNCTION_SCALE),
        "added": _scaling(_FUNCTION_SCALE**2 / inside.scale),
        "output": _scaling(_FUNCTION_SCALE**2 / out.scale),
        "out_zero": out.zero,
        "cell_min": -clipped if clip > 0 else -32768,
        "cell_max": clipped if clip > 0 else 32767,
        "tanh_multiplier": 3 << max(left, 0),
        "tanh_shift": max(-left, 0),
    }


def _scaling(real: float, *, wide: bool = False) -> str:
    """Return multiplier and right shift, `wide`: of 16 bits, for sums of 64."""
    multiplier, left = quantize_multiplier(real)
    if wide:
        multiplier, left = lower_int16.for_wide_sums(multiplier, left)
    return f"{{{multiplier}, {-left}}}"


def _weight_scale(node: Node, position: int) -> float:
    """Return the scale of symmetric weights of one scale."""
    tensor = node.graph.tensors[node.operator.inputs[position]]
    quantization = node.quantization(tensor)
    if len(quantization.scales) > 1 or quantization.zero:
        raise node.refused("weights with a zero point or with several scales", "symmetric weights of one scale")
    return quantization.scale


def _constant(node: Node, position: int, dtype: str, shape: Sequence[int]) -> NDArray[np.generic]:
    """Return weights or a bias."""
    tensor = node.tensors[position]
    if tensor is None or tensor.data is None or tensor.dtype != dtype:
        found = "none" if tensor is None else tensor.dtype if tensor.data is not None else f"computed {tensor.dtype}"
        raise node.refused(f"input {position} is {found}", f"constant {dtype}: full int8, or float32 throughout")
    if tensor.shape != tuple(shape):
        raise ValueError(f"input {position} of shape {tensor.shape}, not {tuple(shape)}")
    return tensor.data


def _state(node: Node, position: int) -> Tensor:
    """Return a tensor that is kept between inferences and used by this operator only."""
    tensor, graph = node.tensors[position], node.graph
    uses = sum(operator.inputs.count(tensor.index) for operator in graph.operators) if tensor is not None else 0
    if tensor is None or tensor.index not in graph.state or uses > 1 or tensor in graph.outputs:
        what = f"input {position} is not a variable tensor of its own"
        raise node.refused(what, "a state that the converter made for this layer")
    return tensor
