"""Reads .tflite files (TFLite's FlatBuffer schema, version 3)."""

from __future__ import annotations

import hashlib
import math
import struct
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.build.form import check_graph
from harness.build.graph import ITEM_BYTES, MOST_VALUES, Graph, Operator, Quantization, Tensor
from harness.build.model_file import read_model
from harness.build.operators import KINDS
from harness.build.options import DAMAGED, MAP, complete, read_map
from harness.build.signal_state import with_signal_state
from harness.build.state import first_state, with_state
from harness.build.unroll import unrolled
from harness.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

#: What integers of a type may be.
_RANGES = {
    "int4": (-8, 7),
    "int8": (-128, 127),
    "uint8": (0, 255),
    "int16": (-32768, 32767),
    "int32": (-(1 << 31), (1 << 31) - 1),
}

#: TensorFlow Lite knows none of more.
_MOST_DIMENSIONS = 8

#: Stands in the old field for every code that is too large for it.
_PLACEHOLDER = 127

#: Where the fields of an OperatorCode lie in its table's index; see `_code`.
_OLD_CODE, _NEW_CODE = 4, 10


def parse_tflite(path: Path) -> Graph:
    """Return the model that a .tflite file holds.

    Args:
        path: the .tflite file, or one in C that has it as an array; see `read_model`.

    Raises:
        ConfigError: the file can't be read, is no .tflite file, or is damaged. `lower` looks at types, and names every
            operator that isn't supported.
    """
    import tflite  # noqa: PLC0415  (a module for each of its 300 tables: only who compiles models waits for them)

    content = read_model(path)
    try:
        return _File(tflite, path, content).graph()
    except (
        ArithmeticError,
        AttributeError,
        IndexError,
        MemoryError,
        TypeError,
        ValueError,  # UnicodeDecodeError is one
        struct.error,
    ) as error:
        why = "" if isinstance(error, struct.error) else f": {error}"
        what = f"is damaged or cut short ({len(content):,} B{why})"
        raise ConfigError(f"{path}: {what}. Download or export it again.") from error


class _File:
    """A .tflite file that is being read; `schema` is the package tflite, which has no types."""

    def __init__(self, schema: Any, path: Path, content: bytes) -> None:
        self._schema = schema
        self._path = path
        self._content = content
        self._model = schema.Model.GetRootAsModel(content, 0)

    def graph(self) -> Graph:
        read = self._subgraph(0)
        graph = unrolled(read, partial(self._subgraph, forms=False))
        if graph is not read:
            check_graph(graph, {tensor.index for tensor in graph.tensors if tensor.data is not None}, str(self._path))
        if not (graph.inputs and graph.outputs):
            what = f"has {len(graph.inputs)} inputs and {len(graph.outputs)} outputs"
            raise ConfigError(f"{self._path}: {what}: {DAMAGED}")
        called = {o.options["InitSubgraphIndex"] for o in graph.operators if o.kind == "CALL_ONCE"}
        stateful = with_state(graph, [self._subgraph(number) for number in sorted(called)], str(self._path))
        return with_signal_state(stateful)

    def _subgraph(self, number: int, *, forms: bool = True) -> Graph:
        """Return a subgraph; without `forms` its shapes may be those of some turn of a loop."""
        count = _length(self._model, "Subgraphs")
        if not 0 <= number < count:
            raise ValueError(f"subgraph {number} of {count}")
        subgraph = self._model.Subgraphs(number)
        inputs, outputs = (_numbers(subgraph, name) for name in ("Inputs", "Outputs"))
        names = self._signature() if number == 0 else {}
        tables = [subgraph.Tensors(i) for i in range(_length(subgraph, "Tensors"))]
        tensors = tuple(self._tensor(i, table, names.get(i)) for i, table in enumerate(tables))
        count = _length(subgraph, "Operators")
        operators = tuple(self._operator(i, subgraph.Operators(i)) for i in range(count))
        for index in (*inputs, *outputs):
            if not 0 <= index < len(tensors):
                what = f"its input or output is tensor {index} of {len(tensors)}"
                raise ConfigError(f"{self._path}: {what}. Export it again.")
        graph = Graph(
            source=self._path.name,
            sha256=hashlib.sha256(self._content).hexdigest(),
            tensors=tensors,
            operators=operators,
            inputs=tuple(tensors[index] for index in inputs),
            outputs=tuple(tensors[index] for index in outputs),
            state={
                i: first_state(tensors[i])
                for i, table in enumerate(tables)
                if table.IsVariable() and tensors[i].dtype in ITEM_BYTES and 0 < tensors[i].elements <= MOST_VALUES
            },
        )
        check_graph(
            graph, {i for i, table in enumerate(tables) if self._is_constant(table)}, str(self._path), forms=forms
        )
        return graph

    def _signature(self) -> dict[int, str]:
        """Return what inputs and outputs are called where the model is called by its user."""
        if _length(self._model, "SignatureDefs") == 0:
            return {}
        signature = self._model.SignatureDefs(0)
        lists = ((getattr(signature, name), _length(signature, name)) for name in ("Inputs", "Outputs"))
        entries = [entry(i) for entry, count in lists for i in range(count)]
        return {int(entry.TensorIndex()): (entry.Name() or b"").decode() for entry in entries}

    def _tensor(self, index: int, table: Any, called: str | None) -> Tensor:
        name = called or (table.Name() or b"").decode()
        what = f"{self._path}: tensor {index} ({name})"
        dtype = self._word("TensorType", table.Type(), "type").lower()
        if _length(table, "Shape") > _MOST_DIMENSIONS:
            raise ConfigError(f"{what} has {table.ShapeLength()} dimensions: the file is damaged. Export it again.")
        shape = _numbers(table, "Shape")
        if shape and shape[0] == -1:  # any number of inputs: one
            shape = (1, *shape[1:])
        if table.Sparsity() is not None:
            raise ConfigError(f"{what} is stored without its zeros (sparsity). Export it dense.")
        return Tensor(
            index=index,
            name=name,
            shape=shape,
            dtype=dtype,
            quantization=_quantization(table.Quantization(), dtype, shape, what),
            data=self._data(table, dtype, shape, what)
            if dtype in (*ITEM_BYTES, "int4") and min(shape, default=1) > 0
            else None,
        )

    def _word(self, enumeration: str, number: int, otherwise: str) -> str:
        """Return the schema's name of a number; for an unknown one what it is, and the number."""
        words = {value: word for word, value in vars(getattr(self._schema, enumeration)).items() if word[0] != "_"}
        return str(words.get(number, f"{otherwise} {number}"))

    def _is_constant(self, table: Any) -> bool:
        buffer = self._buffer(table)
        return buffer is not None and (buffer.DataLength() > 0 or buffer.Size() > 0)

    def _buffer(self, table: Any) -> Any:
        """Return a tensor's buffer; 0 is that of tensors without values."""
        number, count = int(table.Buffer()), _length(self._model, "Buffers")
        if number == 0 and count == 0:
            return None
        if number >= count:
            raise ValueError(f"a tensor has buffer {number} of {count}")
        return self._model.Buffers(number)

    def _data(self, table: Any, dtype: str, shape: tuple[int, ...], what: str) -> NDArray[np.generic] | None:
        buffer = self._buffer(table)
        if buffer is None:
            return None
        if buffer.Size() > 0:
            what += " has its values behind the model (a file of more than 2 GB), which isn't supported"
            raise ConfigError(f"{what}.")
        if _length(buffer, "Data") == 0:
            return None
        content = buffer.DataAsNumpy().tobytes()
        expected = -(-math.prod(shape) // 2) if dtype == "int4" else ITEM_BYTES[dtype] * math.prod(shape)
        if len(content) != expected:
            raise ConfigError(
                f"{what}, {dtype} of shape {list(shape)}, takes {expected:,} B, but the file has {len(content):,}: "
                "it is damaged. Export it again."
            )
        if dtype == "int4":  # two in a byte, the first in the lower half
            halves = np.frombuffer(content, np.int8)
            unpacked = np.stack([np.left_shift(halves, 4) >> 4, halves >> 4], axis=-1).ravel()
            return unpacked[: math.prod(shape)].reshape(shape)
        values: NDArray[np.generic] = np.frombuffer(content, np.dtype(dtype).newbyteorder("<"))
        return values.reshape(shape)

    def _operator(self, index: int, table: Any) -> Operator:
        number, count = int(table.OpcodeIndex()), _length(self._model, "OperatorCodes")
        if number >= count:
            raise ValueError(f"operator {index} has code {number} of {count}")
        what = f"{self._path}: operator {index}"
        kind = self._kind(self._model.OperatorCodes(number), what)
        options = self._options(table, kind, f"{what} ({kind})") if kind in KINDS else {}
        return Operator(index, kind, _numbers(table, "Inputs"), _numbers(table, "Outputs"), options)

    def _kind(self, code: Any, what: str) -> str:
        """Return TFLite's name of an operator.

        A code has two fields, since the first one, of 8 bits, became too small: the greater one counts, as in
        TensorFlow Lite (schema_utils.cc). The package's own reader takes the old one wherever it could hold the code:
        then a file that sets only the new one would consist of operator 0, ADD.
        """
        old, new = _code(code, _OLD_CODE, "Int8Flags"), _code(code, _NEW_CODE, "Int32Flags")
        if old < 0 or new < 0 or (0 not in (old, new) and old not in (new, _PLACEHOLDER)):
            raise ConfigError(f"{what}: its two codes, {old} and {new}, contradict each other. Export it again.")
        number = max(old, new)
        if number == _PLACEHOLDER:
            raise ConfigError(f"{what}: its code is missing: the file is damaged. Export it again.")
        kind = self._word("BuiltinOperator", number, "operator")
        if kind != "CUSTOM":
            return kind
        name = (code.CustomCode() or b"").decode()
        return name if name in KINDS and KINDS[name].options[0] == MAP else f"CUSTOM {name}"

    def _options(self, table: Any, kind: str, what: str) -> dict[str, Any]:
        """Return the options that the compiler looks at; TFLite's defaults where the whole table is left out."""
        name, *fields = KINDS[kind].options
        if name == MAP:
            content = table.CustomOptionsAsNumpy().tobytes() if _length(table, "CustomOptions") else b""
            return complete(read_map(content, tuple(fields)) if fields else {}, fields, what)
        found = self._word("BuiltinOptions", table.BuiltinOptionsType(), "type")
        if found not in (name, "NONE"):
            wanted = "none" if name == "NONE" else name
            raise ConfigError(f"{what}: its options are {found}, not {wanted}: {DAMAGED}")
        union = table.BuiltinOptions()
        options: dict[str, Any] = {}
        if union is not None and found != "NONE":
            view = getattr(self._schema, name)()
            view.Init(union.Bytes, union.Pos)
            options = {field: getattr(view, field)() for field in fields}
        return complete(options, fields, what)


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


def _code(code: Any, field: int, flags: str) -> int:
    from flatbuffers import number_types  # noqa: PLC0415  (comes with the package tflite)

    at = code._tab.Offset(field)  # noqa: SLF001 (its accessor doesn't return what stands there)
    return int(code._tab.Get(getattr(number_types, flags), at + code._tab.Pos)) if at else 0  # noqa: SLF001


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
