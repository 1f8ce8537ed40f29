"""Reads .tflite files (TFLite's FlatBuffer schema, version 3)."""

from __future__ import annotations

import hashlib
import math
import struct
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.build.graph import ITEM_BYTES, Graph, Operator, Quantization, Tensor
from harness.build.operators import DAMAGED, KINDS, check_graph
from harness.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

    from numpy.typing import NDArray

#: What integers of a type may be.
_RANGES = {"int8": (-128, 127), "uint8": (0, 255), "int16": (-32768, 32767), "int32": (-(1 << 31), (1 << 31) - 1)}

#: Fields of options that have a default which means something; without the others an operator isn't defined.
_OPTIONAL = {"FusedActivationFunction", "WeightsFormat"}

_AT_LEAST_1 = {"StrideW", "StrideH", "FilterWidth", "FilterHeight", "DilationWFactor", "DilationHFactor"}

#: TensorFlow Lite knows none of more.
_MOST_DIMENSIONS = 8

#: Stands in the old field for every code that is too large for it.
_PLACEHOLDER = 127

#: Where the fields of an OperatorCode lie in its table's index; see `_code`.
_OLD_CODE, _NEW_CODE = 4, 10


def parse_tflite(path: Path) -> Graph:
    """Return the model that a .tflite file holds.

    Args:
        path: the .tflite file.

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
    except (
        ArithmeticError,
        AttributeError,
        IndexError,
        MemoryError,
        TypeError,
        ValueError,  # UnicodeDecodeError is one
        struct.error,
    ) as error:
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
    inputs, outputs = (_numbers(subgraph, name) for name in ("Inputs", "Outputs"))
    if len(inputs) != 1 or len(outputs) != 1:
        message = f"{path}: has {len(inputs)} inputs and {len(outputs)} outputs; one of each is supported."
        raise ConfigError(message)
    kinds = {value: name for name, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)}
    tables = [subgraph.Tensors(i) for i in range(_length(subgraph, "Tensors"))]
    tensors = tuple(_tensor(schema, path, model, i, table) for i, table in enumerate(tables))
    operators = tuple(_operator(schema, path, kinds, model, subgraph, i) for i in range(_length(subgraph, "Operators")))
    for index in (*inputs, *outputs):
        if not 0 <= index < len(tensors):
            raise ConfigError(f"{path}: its input or output is tensor {index} of {len(tensors)}. Export it again.")
    graph = Graph(
        source=path.name,
        sha256=hashlib.sha256(content).hexdigest(),
        tensors=tensors,
        operators=operators,
        input=tensors[inputs[0]],
        output=tensors[outputs[0]],
    )
    constants = {i for i, table in enumerate(tables) if _is_constant(model, table)}
    check_graph(graph, constants, {i for i, table in enumerate(tables) if table.IsVariable()}, str(path))
    return graph


def _tensor(schema: ModuleType, path: Path, model: Any, index: int, table: Any) -> Tensor:
    known = {value: word.lower() for word, value in vars(schema.TensorType).items() if isinstance(value, int)}
    name = (table.Name() or b"").decode()
    what = f"{path}: tensor {index} ({name})"
    dtype = known.get(table.Type(), f"type {table.Type()}")
    if _length(table, "Shape") > _MOST_DIMENSIONS:
        raise ConfigError(f"{what} has {table.ShapeLength()} dimensions: the file is damaged. Export it again.")
    shape = _numbers(table, "Shape")
    if any(size < 1 for size in shape):
        raise ConfigError(f"{what} has no fixed shape: {list(shape)}. Export it for one input.")
    if table.Sparsity() is not None:
        raise ConfigError(f"{what} is stored without its zeros (sparsity). Export it dense.")
    return Tensor(
        index=index,
        name=name,
        shape=shape,
        dtype=dtype,
        quantization=_quantization(table.Quantization(), dtype, shape, what),
        data=_data(model, table, dtype, shape, what) if dtype in ITEM_BYTES else None,
    )


def _quantization(table: Any, dtype: str, shape: tuple[int, ...], what: str) -> Quantization | None:
    if table is None:
        return None
    if table.DetailsType() != 0:
        raise ConfigError(f"{what} is quantized in a way of its own. Export it with scale and zero point.")
    scales = tuple(float(table.Scale(i)) for i in range(_length(table, "Scale")))
    if not scales:
        return None
    zero_points = _numbers(table, "ZeroPoint") or (0,) * len(scales)
    axis = int(table.QuantizedDimension())
    if dtype in _RANGES:  # else nothing is scaled
        _check_quantization(scales, zero_points, axis, dtype, shape, what)
    return Quantization(scales, zero_points, axis)


def _check_quantization(
    scales: tuple[float, ...], zeros: tuple[int, ...], axis: int, dtype: str, shape: tuple[int, ...], what: str
) -> None:
    """Refuse scales and zero points that no quantizer gives."""
    for scale in scales:
        if not math.isfinite(scale) or scale < 0 or (scale == 0 and dtype != "int32"):
            raise ConfigError(f"{what} has scale {scale}, which must be finite and above 0. Quantize it again.")
    low, high = _RANGES[dtype]
    for zero in zeros:
        if not low <= zero <= high:
            raise ConfigError(f"{what} has zero point {zero:,}, but {dtype} goes from {low} to {high}: {DAMAGED}")
    if len(zeros) != len(scales):
        raise ConfigError(f"{what} has {len(scales)} scales, but {len(zeros)} zero points: {DAMAGED}")
    if len(scales) > 1 and (not 0 <= axis < len(shape) or shape[axis] != len(scales)):
        raise ConfigError(f"{what} of shape {list(shape)} has {len(scales)} scales along dimension {axis}: {DAMAGED}")


def _is_constant(model: Any, table: Any) -> bool:
    buffer = _buffer(model, table)
    return buffer is not None and (buffer.DataLength() > 0 or buffer.Size() > 0)


def _buffer(model: Any, table: Any) -> Any:
    """Return a tensor's buffer; 0 is that of tensors without values."""
    number, count = int(table.Buffer()), _length(model, "Buffers")
    if number == 0 and count == 0:
        return None
    if number >= count:
        raise ValueError(f"a tensor has buffer {number} of {count}")
    return model.Buffers(number)


def _data(model: Any, table: Any, dtype: str, shape: tuple[int, ...], what: str) -> NDArray[np.generic] | None:
    buffer = _buffer(model, table)
    if buffer is None:
        return None
    if buffer.Size() > 0:
        raise ConfigError(f"{what} has its values behind the model (a file of more than 2 GB), which isn't supported.")
    if _length(buffer, "Data") == 0:
        return None
    content = buffer.DataAsNumpy().tobytes()
    expected = ITEM_BYTES[dtype] * int(np.prod(shape, dtype=object))
    if len(content) != expected:
        raise ConfigError(
            f"{what}, {dtype} of shape {list(shape)}, takes {expected:,} B, but the file has {len(content):,}: "
            "it is damaged. Export it again."
        )
    values: NDArray[np.generic] = np.frombuffer(content, np.dtype(dtype).newbyteorder("<"))
    return values.reshape(shape)


def _operator(schema: ModuleType, path: Path, kinds: dict[int, str], model: Any, subgraph: Any, index: int) -> Operator:
    table = subgraph.Operators(index)
    number, count = int(table.OpcodeIndex()), _length(model, "OperatorCodes")
    if number >= count:
        raise ValueError(f"operator {index} has code {number} of {count}")
    code = model.OperatorCodes(number)
    kind = _kind(kinds, code, f"{path}: operator {index}")
    return Operator(
        index=index,
        kind=kind,
        inputs=_numbers(table, "Inputs"),
        outputs=_numbers(table, "Outputs"),
        options=_options(schema, table, kind, f"{path}: operator {index} ({kind})"),
    )


def _kind(kinds: dict[int, str], code: Any, what: str) -> str:
    """Return TFLite's name of an operator.

    A code has two fields, since the first one, of 8 bits, became too small: the greater one counts, as in TensorFlow
    Lite (schema_utils.cc). The package's own reader takes the old one wherever it could hold the code: then a file
    that sets only the new one would consist of operator 0, ADD.
    """
    old, new = _code(code, _OLD_CODE, "Int8Flags"), _code(code, _NEW_CODE, "Int32Flags")
    if old < 0 or new < 0 or (0 not in (old, new) and old not in (new, _PLACEHOLDER)):
        raise ConfigError(f"{what}: its two codes, {old} and {new}, contradict each other. Export it again.")
    number = max(old, new)
    if number == _PLACEHOLDER:
        raise ConfigError(f"{what}: its code is missing: the file is damaged. Export it again.")
    kind = kinds.get(number, f"operator {number}")
    return f"CUSTOM {(code.CustomCode() or b'').decode()}" if kind == "CUSTOM" else kind


def _code(code: Any, field: int, flags: str) -> int:
    from flatbuffers import number_types  # noqa: PLC0415  (comes with the package tflite)

    at = code._tab.Offset(field)  # noqa: SLF001 (its accessor doesn't return what stands there)
    return int(code._tab.Get(getattr(number_types, flags), at + code._tab.Pos)) if at else 0  # noqa: SLF001


def _options(schema: ModuleType, table: Any, kind: str, what: str) -> dict[str, float]:
    """Return the options that the compiler looks at; TFLite's defaults where the whole table is left out."""
    if kind not in KINDS:
        return {}
    name, *fields = KINDS[kind].options
    types = {value: word for word, value in vars(schema.BuiltinOptions).items() if isinstance(value, int)}
    number = table.BuiltinOptionsType()
    found = types.get(number, f"type {number}")
    if found not in (name, "NONE"):
        wanted = "none" if name == "NONE" else name
        raise ConfigError(f"{what}: its options are {found}, not {wanted}: the file is damaged. Export it again.")
    union = table.BuiltinOptions()
    options: dict[str, float] = {}
    if union is not None and found != "NONE":
        view = getattr(schema, name)()
        view.Init(union.Bytes, union.Pos)
        options = {field: getattr(view, field)() for field in fields}
    missing = [field for field in fields if field not in options and field not in _OPTIONAL]
    if missing:
        raise ConfigError(f"{what}: its options are missing ({', '.join(missing)}): {DAMAGED}")
    for field, value in options.items():
        small, odd = field in _AT_LEAST_1 and value < 1, field == "Padding" and value not in (0, 1)
        if small or odd or not math.isfinite(value):
            raise ConfigError(f"{what}: its option {field} is {value}: {DAMAGED}")
    return options


def _length(table: Any, field: str) -> int:
    """Return the length of a vector.

    Raises:
        ValueError: it is more than the file could hold.
    """
    length = int(getattr(table, f"{field}Length")())
    if length > len(table._tab.Bytes):  # noqa: SLF001
        raise ValueError(f"{field} of {length:,} elements")
    return length


def _numbers(table: Any, field: str) -> tuple[int, ...]:
    read = getattr(table, field)
    return tuple(int(read(i)) for i in range(_length(table, field)))
