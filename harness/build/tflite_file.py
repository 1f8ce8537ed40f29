"""Reads .tflite files (TFLite's FlatBuffer schema, version 3)."""

from __future__ import annotations

import hashlib
import struct
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.build.graph import ITEM_BYTES, Graph, Operator, Quantization, Tensor
from harness.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

    from numpy.typing import NDArray

#: Options of each operator that the compiler looks at: the table's name and its fields.
OPTIONS: dict[str, tuple[str, tuple[str, ...]]] = {
    "CONV_2D": (
        "Conv2DOptions",
        ("Padding", "StrideW", "StrideH", "DilationWFactor", "DilationHFactor", "FusedActivationFunction"),
    ),
    "DEPTHWISE_CONV_2D": (
        "DepthwiseConv2DOptions",
        ("Padding", "StrideW", "StrideH", "DilationWFactor", "DilationHFactor", "FusedActivationFunction"),
    ),
    "FULLY_CONNECTED": ("FullyConnectedOptions", ("FusedActivationFunction", "WeightsFormat")),
    "AVERAGE_POOL_2D": (
        "Pool2DOptions",
        ("Padding", "StrideW", "StrideH", "FilterWidth", "FilterHeight", "FusedActivationFunction"),
    ),
    "MAX_POOL_2D": (
        "Pool2DOptions",
        ("Padding", "StrideW", "StrideH", "FilterWidth", "FilterHeight", "FusedActivationFunction"),
    ),
    "SOFTMAX": ("SoftmaxOptions", ("Beta",)),
    "ADD": ("AddOptions", ("FusedActivationFunction",)),
    "MUL": ("MulOptions", ("FusedActivationFunction",)),
    "CONCATENATION": ("ConcatenationOptions", ("Axis", "FusedActivationFunction")),
    "LEAKY_RELU": ("LeakyReluOptions", ("Alpha",)),
}


def parse_tflite(path: Path) -> Graph:
    """Return the model that a .tflite file holds.

    Args:
        path: the file.

    Raises:
        ConfigError: the file can't be read, is no .tflite file, or holds something that the compiler doesn't take at
            all: several subgraphs, several inputs or outputs, tensors of unknown shape. `lower` looks at types, and
            names every operator that isn't supported.
    """
    schema = _schema()
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: can't be read: {error.strerror}.") from error
    if content[4:8] != b"TFL3":
        raise ConfigError(f"{path}: is not a .tflite file (bytes 4 to 7 are {content[4:8]!r}, not b'TFL3').")
    try:
        return _graph(schema, path, content)
    except (struct.error, IndexError, ValueError, TypeError, AttributeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: is damaged or cut short ({error}). Export it again.") from error


def _schema() -> ModuleType:
    try:
        import tflite  # noqa: PLC0415  (an extra: only who compiles models needs it)
    except ImportError as error:
        message = 'Compiling a model needs the package tflite: pip install "tinyml-hil[build]".'
        raise ConfigError(message) from error
    module: ModuleType = tflite
    return module


def _graph(schema: ModuleType, path: Path, content: bytes) -> Graph:
    model = schema.Model.GetRootAsModel(content, 0)
    if model.SubgraphsLength() != 1:
        raise ConfigError(f"{path}: has {model.SubgraphsLength()} subgraphs; one is supported.")
    subgraph = model.Subgraphs(0)
    inputs = [int(subgraph.Inputs(i)) for i in range(subgraph.InputsLength())]
    outputs = [int(subgraph.Outputs(i)) for i in range(subgraph.OutputsLength())]
    if len(inputs) != 1 or len(outputs) != 1:
        message = f"{path}: has {len(inputs)} inputs and {len(outputs)} outputs; one of each is supported."
        raise ConfigError(message)
    kinds = {value: name for name, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)}
    tensors = tuple(_tensor(schema, path, model, subgraph, i) for i in range(subgraph.TensorsLength()))
    operators = tuple(_operator(schema, kinds, model, subgraph, i) for i in range(subgraph.OperatorsLength()))
    return Graph(
        source=path.name,
        sha256=hashlib.sha256(content).hexdigest(),
        tensors=tensors,
        operators=operators,
        input=tensors[inputs[0]],
        output=tensors[outputs[0]],
    )


def _tensor(schema: ModuleType, path: Path, model: Any, subgraph: Any, index: int) -> Tensor:
    table = subgraph.Tensors(index)
    known = {value: word.lower() for word, value in vars(schema.TensorType).items() if isinstance(value, int)}
    name = (table.Name() or b"").decode()
    dtype = known.get(table.Type(), f"type {table.Type()}")
    shape = tuple(int(table.Shape(i)) for i in range(table.ShapeLength()))
    if any(size < 1 for size in shape):
        message = f"{path}: tensor {index} ({name}) has no fixed shape: {list(shape)}. Export it for one input."
        raise ConfigError(message)
    return Tensor(
        index=index,
        name=name,
        shape=shape,
        dtype=dtype,
        quantization=_quantization(table.Quantization()),
        data=_data(model.Buffers(table.Buffer()), dtype, shape) if dtype in ITEM_BYTES else None,
    )


def _quantization(table: Any) -> Quantization | None:
    if table is None or table.ScaleLength() == 0:
        return None
    scales = tuple(float(table.Scale(i)) for i in range(table.ScaleLength()))
    zero_points = tuple(int(table.ZeroPoint(i)) for i in range(table.ZeroPointLength()))
    return Quantization(scales, zero_points or (0,) * len(scales), int(table.QuantizedDimension()))


def _data(buffer: Any, dtype: str, shape: tuple[int, ...]) -> NDArray[np.generic] | None:
    if buffer is None or buffer.DataLength() == 0:
        return None
    values: NDArray[np.generic] = np.frombuffer(buffer.DataAsNumpy().tobytes(), np.dtype(dtype).newbyteorder("<"))
    return values.reshape(shape)


def _operator(schema: ModuleType, kinds: dict[int, str], model: Any, subgraph: Any, index: int) -> Operator:
    table = subgraph.Operators(index)
    code = model.OperatorCodes(table.OpcodeIndex())
    number = max(int(code.BuiltinCode()), int(code.DeprecatedBuiltinCode()))
    kind = kinds.get(number, f"operator {number}")
    if kind == "CUSTOM":
        kind = f"CUSTOM {(code.CustomCode() or b'').decode()}"
    options: dict[str, float] = {}
    if kind in OPTIONS and table.BuiltinOptions() is not None:
        union = table.BuiltinOptions()
        name, fields = OPTIONS[kind]
        view = getattr(schema, name)()
        view.Init(union.Bytes, union.Pos)
        options = {field: getattr(view, field)() for field in fields}
    return Operator(
        index=index,
        kind=kind,
        inputs=tuple(int(table.Inputs(i)) for i in range(table.InputsLength())),
        outputs=tuple(int(table.Outputs(i)) for i in range(table.OutputsLength())),
        options=options,
    )
