"""The interpreters of a host that say what a model computes: TensorFlow Lite Micro, and LiteRT's reference kernels."""

from __future__ import annotations

import importlib.metadata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
from pydantic import ValidationError

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
    """A model in an interpreter; `run` takes an input of its type and any shape, and returns the output, flat."""

    kind: Name
    version: str
    input: TensorSpec
    output: TensorSpec
    run: Callable[[NDArray[np.generic]], NDArray[np.generic]]

    @property
    def title(self) -> str:
        """Its name and version."""
        return f"{self.kind} {self.version}"

    def allowed(self, greatest: float) -> float:
        """Return by how much outputs of this `greatest` magnitude may differ, in steps for integers; 0: not at all."""
        if self.output.dtype == "float32":
            return FLOAT_TOLERANCE * max(1.0, greatest)
        return 0.0 if self.kind == "tflite-micro" else float(LITERT_STEPS)


def installed() -> tuple[Name, ...]:
    """Return the interpreters whose packages are installed."""
    return tuple(kind for kind in PACKAGES if _version(kind) is not None)


def open_interpreter(model: Path, order: Sequence[Name]) -> Interpreter:
    """Open a .tflite file in the first of some interpreters that is installed and can run it.

    Raises:
        NoInterpreterError: there is none; says why not, and how to install one.
    """
    problems = []
    for kind in order:
        version = _version(kind)
        if version is None:
            continue
        try:
            source, result, run = (_tflite_micro if kind == "tflite-micro" else _litert)(model)
            interpreter = Interpreter(kind, version, _spec(source), _spec(result), run)
            interpreter.run(np.zeros(interpreter.input.shape, interpreter.input.dtype))
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


_Opened = tuple["Mapping[str, Any]", "Mapping[str, Any]", "Callable[[NDArray[np.generic]], NDArray[np.generic]]"]


def _tflite_micro(model: Path) -> _Opened:
    from tflite_micro.python.tflite_micro import runtime  # noqa: PLC0415 (half a second, and not always installed)

    interpreter = runtime.Interpreter.from_file(str(model), arena_size=1 << 24)
    source, result = interpreter.get_input_details(0), interpreter.get_output_details(0)
    shape = tuple(source["shape"])

    def run(tensor: NDArray[np.generic]) -> NDArray[np.generic]:
        interpreter.set_input(np.ascontiguousarray(tensor).reshape(shape), 0)
        interpreter.invoke()
        return np.asarray(interpreter.get_output(0)).reshape(-1)

    return source, result, run


def _litert(model: Path) -> _Opened:
    from ai_edge_litert.interpreter import Interpreter as LiteRt  # noqa: PLC0415 (a second, and not always installed)
    from ai_edge_litert.interpreter import OpResolverType  # noqa: PLC0415

    # Its default delegate, XNNPACK, rounds otherwise than the reference kernels do.
    interpreter = LiteRt(model_path=str(model), experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
    interpreter.allocate_tensors()
    source, result = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    shape = tuple(source["shape"])

    def run(tensor: NDArray[np.generic]) -> NDArray[np.generic]:
        interpreter.set_tensor(source["index"], np.ascontiguousarray(tensor).reshape(shape))
        interpreter.invoke()
        return np.array(interpreter.get_tensor(result["index"])).reshape(-1)

    return source, result, run


def _spec(details: Mapping[str, Any]) -> TensorSpec:
    """Return what an interpreter says of a tensor.

    Raises:
        ValueError: no card could say that.
    """
    quantization = details["quantization_parameters"]
    scales, zeros = quantization["scales"], quantization["zero_points"]
    try:
        return TensorSpec(
            shape=tuple(int(size) for size in details["shape"]),
            dtype=cast("DType", np.dtype(details["dtype"]).name),  # pydantic refuses the others
            scale=float(scales[0]) if len(scales) else None,
            zero_point=int(zeros[0]) if len(zeros) else None,
        )
    except ValidationError as error:
        raise ValueError(f"its input or output is {np.dtype(details['dtype']).name}, not one of those known") from error
