"""The interpreters of a host that say what a model computes: TensorFlow Lite Micro, and LiteRT's reference kernels."""

from __future__ import annotations

import importlib.metadata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
from pydantic import ValidationError

from harness.build.model_file import read_model
from harness.build.signal_state import KEPT
from harness.errors import ConfigError
from harness.image.model_card import TensorSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from harness.image.model_card import DType

Name = Literal["tflite-micro", "litert"]

#: What pip calls them.
PACKAGES: Mapping[Name, str] = {"tflite-micro": "tflite-micro", "litert": "ai-edge-litert"}

INSTALL = "pip install --pre tflite-micro (Linux on x86-64), or pip install ai-edge-litert"

#: A float32 output may differ by so much of the greatest of the reference, or of 1: sums are taken in another order.
FLOAT_TOLERANCE = 1e-4

#: An int8 output may differ by so many steps from LiteRT's, which rounds in other places than TensorFlow Lite Micro:
#: 8 was the most that random inputs gave for some forty models, layer by layer the difference is 1.
LITERT_STEPS = 16


class NoInterpreterError(ConfigError):
    """No interpreter is installed, or none of those that are can run the model."""


@dataclass(frozen=True, eq=False)
class Interpreter:
    """A model in an interpreter.

    Attributes:
        kind: which interpreter.
        version: its version.
        inputs: what the model takes.
        outputs: what it gives.
        infer: runs it: takes an array for each input, of its type and any shape, and returns the outputs, flat.
        reset: makes it forget what it remembers of the inferences before.
        remembers: whether there is anything to forget.
    """

    kind: Name
    version: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    infer: Callable[[Sequence[NDArray[np.generic]]], list[NDArray[np.generic]]]
    reset: Callable[[], None]
    remembers: bool

    @property
    def title(self) -> str:
        """Its name and version."""
        return f"{self.kind} {self.version}"

    @property
    def input(self) -> TensorSpec:
        """The first input, mostly the only one."""
        return self.inputs[0]

    @property
    def output(self) -> TensorSpec:
        """The first output, mostly the only one."""
        return self.outputs[0]

    def run(self, tensor: NDArray[np.generic]) -> NDArray[np.generic]:
        """Return the first output, flat, of a model of one input, which remembers nothing of inputs before.

        Raises:
            ConfigError: it has several inputs.
        """
        if len(self.inputs) > 1:
            raise ConfigError(f"the model has {len(self.inputs)} inputs, and one is needed here")
        if self.remembers:
            self.reset()
        return self.infer([tensor])[0]

    def allowed(self, theirs: NDArray[np.generic]) -> float:
        """Return by how much outputs may differ from these, in steps for integers; 0: not at all."""
        if theirs.dtype.kind == "f":
            return FLOAT_TOLERANCE * max(1.0, float(np.abs(theirs.astype(np.float64)).max()))
        return 0.0 if self.kind == "tflite-micro" else float(LITERT_STEPS)


def installed() -> tuple[Name, ...]:
    """Return the interpreters whose packages are installed."""
    return tuple(kind for kind in PACKAGES if _version(kind) is not None)


def open_interpreter(model: Path, order: Sequence[Name]) -> Interpreter:
    """Open a .tflite file (or a C one, as `read_model` says) in the first of some that is installed and can run it.

    Raises:
        ConfigError: the file holds no model.
        NoInterpreterError: there is none; says why not, and how to install one.
    """
    content, problems = read_model(model), []
    for kind in order:
        version = _version(kind)
        if version is None:
            continue
        try:
            made = (_TfliteMicro if kind == "tflite-micro" else _LiteRt)(content)
            inputs, outputs = (tuple(map(_spec, details)) for details in (made.inputs, made.outputs))
            interpreter = Interpreter(kind, version, inputs, outputs, made.infer, made.reset, _remembers(content))
            interpreter.infer([np.zeros(spec.shape, spec.dtype) for spec in inputs])
            interpreter.reset()
        except (ImportError, IndexError, OSError, RuntimeError, TypeError, ValueError) as error:
            lines = str(error).strip().splitlines()
            problems.append(f"{kind} {version} can't run {model.name}: {lines[-1] if lines else type(error).__name__}")
        else:
            return interpreter
    if problems:
        raise NoInterpreterError("; ".join(problems))
    raise NoInterpreterError(f"{' and '.join(PACKAGES[kind] for kind in order)} not installed: {INSTALL}")


def order_for(integers: bool) -> tuple[Name, ...]:  # noqa: FBT001 (a property of the model)
    """Return the interpreters for a model that computes with integers or not, the preferred one first.

    TensorFlow Lite Micro's integers are those that the engine equals bit for bit. For floats LiteRT runs more models.
    """
    return ("tflite-micro", "litert") if integers else ("litert", "tflite-micro")


def _version(kind: Name) -> str | None:
    try:
        return importlib.metadata.version(PACKAGES[kind])
    except importlib.metadata.PackageNotFoundError:
        return None


class _TfliteMicro:
    """A model in TensorFlow Lite Micro's interpreter: descriptions of its tensors, and what `Interpreter` calls."""

    def __init__(self, model: bytes) -> None:
        import tflite  # noqa: PLC0415 (300 modules)
        from tflite_micro.python.tflite_micro import runtime  # noqa: PLC0415 (half a second, and not always installed)

        # It prints a complaint when it is asked for one tensor too many.
        graph = tflite.Model.GetRootAsModel(model, 0).Subgraphs(0)
        self._open: Callable[[], Any] = lambda: runtime.Interpreter.from_bytes(model, arena_size=1 << 24)
        self.reset()
        self.inputs = [self._interpreter.get_input_details(i) for i in range(graph.InputsLength())]
        self.outputs = [self._interpreter.get_output_details(i) for i in range(graph.OutputsLength())]

    def reset(self) -> None:
        self._interpreter = self._open()

    def infer(self, tensors: Sequence[NDArray[np.generic]]) -> list[NDArray[np.generic]]:
        for index, (tensor, details) in enumerate(zip(tensors, self.inputs, strict=True)):
            self._interpreter.set_input(np.ascontiguousarray(tensor).reshape(tuple(details["shape"])), index)
        self._interpreter.invoke()
        return [np.array(self._interpreter.get_output(i)).reshape(-1) for i in range(len(self.outputs))]


class _LiteRt:
    """The same in LiteRT's."""

    def __init__(self, model: bytes) -> None:
        from ai_edge_litert.interpreter import Interpreter as LiteRt  # noqa: PLC0415 (a second, not always installed)
        from ai_edge_litert.interpreter import OpResolverType  # noqa: PLC0415

        # Its default delegate, XNNPACK, rounds otherwise than the reference kernels do.
        resolver = OpResolverType.BUILTIN_REF
        self._open: Callable[[], Any] = lambda: LiteRt(model_content=model, experimental_op_resolver_type=resolver)
        self.reset()
        self.inputs, self.outputs = self._interpreter.get_input_details(), self._interpreter.get_output_details()

    def reset(self) -> None:
        self._interpreter = self._open()
        self._interpreter.allocate_tensors()

    def infer(self, tensors: Sequence[NDArray[np.generic]]) -> list[NDArray[np.generic]]:
        for tensor, details in zip(tensors, self.inputs, strict=True):
            shaped = np.ascontiguousarray(tensor).reshape(tuple(details["shape"]))
            self._interpreter.set_tensor(details["index"], shaped)
        self._interpreter.invoke()
        return [np.array(self._interpreter.get_tensor(details["index"])).reshape(-1) for details in self.outputs]


def _remembers(model: bytes) -> bool:
    import tflite  # noqa: PLC0415 (300 modules)

    table = tflite.Model.GetRootAsModel(model, 0)
    graph = table.Subgraphs(0)
    codes = [table.OperatorCodes(i) for i in range(table.OperatorCodesLength())]
    kept = any(graph.Tensors(i).IsVariable() for i in range(graph.TensorsLength()))
    kept = kept or any((code.CustomCode() or b"").decode(errors="replace") in KEPT for code in codes)
    return kept or any(code.BuiltinCode() == tflite.BuiltinOperator.VAR_HANDLE for code in codes)


def _spec(details: Mapping[str, Any]) -> TensorSpec:
    """Return what an interpreter says of a tensor.

    Raises:
        ValueError: no card could say that.
    """
    quantization, dtype = details["quantization_parameters"], np.dtype(details["dtype"])
    scales, zeros = quantization["scales"], quantization["zero_points"]
    if not len(scales) and dtype.kind in "iu" and dtype != np.int32:  # numbers that stand for themselves
        scales, zeros = np.array([1.0]), np.array([0])
    try:
        return TensorSpec(
            shape=tuple(int(size) for size in details["shape"]),
            dtype=cast("DType", dtype.name),  # pydantic refuses the others
            scale=float(scales[0]) if len(scales) else None,
            zero_point=int(zeros[0]) if len(zeros) else None,
        )
    except ValidationError as error:
        raise ValueError(f"its input or output is {dtype.name}, not one of those known") from error
