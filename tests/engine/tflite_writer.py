"""Writes small .tflite files: the operators and quantization parameters that a converter would hardly give."""

from __future__ import annotations

from dataclasses import dataclass, field

import flatbuffers
import numpy as np
import tflite
from flatbuffers import flexbuffers

from harness.build.operators import KINDS
from harness.build.options import MAP

#: The options table of each operator whose table has a field that matters, by its name.
TABLES = {
    kind: row.options[0] for kind, row in KINDS.items() if len(row.options) > 1 and row.options[0] not in ("NONE", MAP)
}
TABLES |= {"ARG_MAX": "ArgMaxOptions", "ARG_MIN": "ArgMinOptions", "MEAN": "ReducerOptions", "SHAPE": "ShapeOptions"}


@dataclass(eq=False)
class T:
    """A tensor: `data` makes it a constant; `scales` of one value are those of the whole tensor.

    A `variable` one is kept between inferences.
    """

    shape: tuple[int, ...]
    dtype: str = "int8"
    scales: tuple[float, ...] = ()
    zeros: tuple[int, ...] = (0,)
    axis: int = 0
    data: np.ndarray | None = None
    variable: bool = False


@dataclass(eq=False)
class Op:
    """An operator: TFLite's name, tensors (None: left out), and the fields of its options."""

    kind: str
    inputs: list[T | None]
    output: T | list[T]
    options: dict[str, float | str] = field(default_factory=dict)

    @property
    def outputs(self):
        return self.output if isinstance(self.output, list) else [self.output]


def constant(values, dtype, scales=(), zeros=(0,), axis=0):
    """A tensor of known values."""
    data = np.asarray(values, "int8" if dtype == "int4" else dtype)
    return T(data.shape, dtype, scales, zeros, axis, data)


def write_tflite(operators, start=None, *, inputs=None, outputs=None, once=()):
    """A model. Its input is `start` or the first operator's first input, its output the last one's output.

    `inputs` and `outputs` are for several; the operators of `once` are those of a second subgraph.
    """
    kinds = sorted({op.kind for op in (*operators, *once)})
    b = flatbuffers.Builder(4096)
    parts = [(operators, inputs or [start or operators[0].inputs[0]], outputs or [operators[-1].outputs[-1]])]
    parts += [(once, [], [])] if once else []
    listed = [list(dict.fromkeys(t for op in part for t in [*op.inputs, *op.outputs] if t)) for part, _, _ in parts]
    constants = [t for tensors in listed for t in tensors if t.data is not None]
    buffers = _tables(b, [_buffer(b, content) for content in [b"", *(_content(t) for t in constants)]])
    numbers = {id(t): n + 1 for n, t in enumerate(constants)}
    graphs = [_subgraph(b, tensors, *part, kinds, numbers) for part, tensors in zip(parts, listed, strict=True)]
    graphs = _tables(b, graphs)
    codes = _tables(b, [_code(b, kind) for kind in kinds])
    tflite.ModelStart(b)
    tflite.ModelAddVersion(b, 3)
    tflite.ModelAddOperatorCodes(b, codes)
    tflite.ModelAddSubgraphs(b, graphs)
    tflite.ModelAddBuffers(b, buffers)
    b.Finish(tflite.ModelEnd(b), b"TFL3")
    return bytes(b.Output())


def _content(tensor):
    """The bytes of a constant; int4 lies two in a byte, the first in the lower half."""
    if tensor.dtype != "int4":
        return tensor.data.tobytes()
    halves = [int(value) & 15 for value in tensor.data.ravel()]
    return bytes(a | b << 4 for a, b in zip(halves[::2], [*halves[1::2], 0], strict=False))


def _subgraph(b, tensors, operators, inputs, outputs, kinds, numbers):
    tensor_tables = _tables(b, [_tensor(b, n, t, numbers.get(id(t), 0)) for n, t in enumerate(tensors)])
    operator_tables = _tables(b, [_operator(b, op, tensors, kinds) for op in operators])
    ends = [_ints(b, [tensors.index(t) for t in ts]) for ts in (inputs, outputs)]
    tflite.SubGraphStart(b)
    tflite.SubGraphAddTensors(b, tensor_tables)
    tflite.SubGraphAddInputs(b, ends[0])
    tflite.SubGraphAddOutputs(b, ends[1])
    tflite.SubGraphAddOperators(b, operator_tables)
    return tflite.SubGraphEnd(b)


def _buffer(b, content):
    # 16-byte alignment, which the interpreters ask of constants
    b.StartVector(1, len(content), 16)
    b.head -= len(content)
    b.Bytes[b.head : b.head + len(content)] = content
    vector = b.EndVector()
    tflite.BufferStart(b)
    if content:
        tflite.BufferAddData(b, vector)
    return tflite.BufferEnd(b)


def _tensor(b, number, tensor, buffer):
    name, shape = b.CreateString(f"t{number}"), _ints(b, tensor.shape)
    quantization = _quantization(b, tensor) if tensor.scales else None
    tflite.TensorStart(b)
    tflite.TensorAddShape(b, shape)
    tflite.TensorAddType(b, getattr(tflite.TensorType, tensor.dtype.upper()))
    tflite.TensorAddBuffer(b, buffer)
    tflite.TensorAddName(b, name)
    tflite.TensorAddIsVariable(b, tensor.variable)
    if quantization is not None:
        tflite.TensorAddQuantization(b, quantization)
    return tflite.TensorEnd(b)


def _quantization(b, tensor):
    zeros = tensor.zeros if len(tensor.zeros) == len(tensor.scales) else tensor.zeros * len(tensor.scales)
    scales = b.CreateNumpyVector(np.asarray(tensor.scales, np.float32))
    points = b.CreateNumpyVector(np.asarray(zeros, np.int64))
    tflite.QuantizationParametersStart(b)
    tflite.QuantizationParametersAddScale(b, scales)
    tflite.QuantizationParametersAddZeroPoint(b, points)
    tflite.QuantizationParametersAddQuantizedDimension(b, tensor.axis)
    return tflite.QuantizationParametersEnd(b)


def _operator(b, op, tensors, kinds):
    inputs = _ints(b, [-1 if t is None else tensors.index(t) for t in op.inputs])
    outputs = _ints(b, [tensors.index(t) for t in op.outputs])
    table = TABLES.get(op.kind)
    options = None
    if table is not None:
        given = {n: b.CreateString(v) if isinstance(v, str) else v for n, v in op.options.items()}
        getattr(tflite, f"{table}Start")(b)
        for name, value in given.items():
            getattr(tflite, f"{table}Add{name}")(b, value)
        options = getattr(tflite, f"{table}End")(b)
    custom = b.CreateByteVector(bytes(flexbuffers.Dumps(op.options))) if op.kind.startswith("Signal") else None
    tflite.OperatorStart(b)
    if custom is not None:
        tflite.OperatorAddCustomOptions(b, custom)
    tflite.OperatorAddOpcodeIndex(b, kinds.index(op.kind))
    tflite.OperatorAddInputs(b, inputs)
    tflite.OperatorAddOutputs(b, outputs)
    if options is not None:
        tflite.OperatorAddBuiltinOptionsType(b, getattr(tflite.BuiltinOptions, table))
        tflite.OperatorAddBuiltinOptions(b, options)
    return tflite.OperatorEnd(b)


def _code(b, kind):
    custom = b.CreateString(kind) if kind.startswith("Signal") else None
    number = getattr(tflite.BuiltinOperator, "CUSTOM" if custom is not None else kind)
    tflite.OperatorCodeStart(b)
    if custom is not None:
        tflite.OperatorCodeAddCustomCode(b, custom)
    tflite.OperatorCodeAddDeprecatedBuiltinCode(b, min(number, 127))
    tflite.OperatorCodeAddBuiltinCode(b, number)
    tflite.OperatorCodeAddVersion(b, 1)
    return tflite.OperatorCodeEnd(b)


def _ints(b, values):
    return b.CreateNumpyVector(np.asarray(values, np.int32))


def _tables(b, offsets):
    b.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        b.PrependUOffsetTRelative(offset)
    return b.EndVector()
