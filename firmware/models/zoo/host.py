"""Runs .tflite files on the host: integer ones in TFLite Micro's interpreter, those with float32 inputs in LiteRT's."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from tflite_micro.python.tflite_micro import runtime

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

Runs = Callable[[Any], Any]  # one input of the model's own shape -> the output


def input_shape(model: Path) -> tuple[int, ...]:
    """Return the shape of the model's input, with the batch of one."""
    return tuple(int(size) for size in Interpreter(str(model)).get_input_details()[0]["shape"])


def outputs(model: Path, x: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return what the model answers to each input, as real values [n, outputs].

    A model that takes one step at a time begins anew with every input; its outputs are those of all steps.

    Args:
        model: the .tflite file.
        x: real inputs, float32 [n, height, width, channels], of the model's own size; [n, steps, ...] for steps.
    """
    interpreter = Interpreter(str(model))
    details, answers = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    shape = tuple(details["shape"])
    if details["dtype"] == np.float32:
        return _each(lambda: _litert(model, details["index"], answers["index"]), x, shape)
    scale, zero_point = answers["quantization"]
    inputs = quantize(x, *details["quantization"], details["dtype"])
    raw = _each(lambda: _tflite_micro(model), inputs, shape)
    return (raw - zero_point) * scale


def quantize(x: NDArray[np.float32], scale: float, zero_point: int, dtype: type[np.integer[Any]]) -> NDArray[Any]:
    """Return integers: round(x / scale) + zero_point in float32, halves away from zero, as TensorFlow Lite does."""
    scaled = x / np.float32(scale)
    rounded = np.trunc(scaled + np.copysign(np.float32(0.5), scaled)) + zero_point
    return np.clip(rounded, np.iinfo(dtype).min, np.iinfo(dtype).max).astype(dtype)


def share_of_zeros(content: bytes) -> float:
    """Return the share of a .tflite file's weights that are 0; biases aren't counted."""
    types = {schema.TensorType.INT8: np.int8, schema.TensorType.INT4: np.uint8, schema.TensorType.FLOAT32: np.float32}
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    zeros = total = 0
    for tensor in model.subgraphs[0].tensors:
        data = model.buffers[tensor.buffer].data
        if data is not None and len(data) and tensor.type in types and len(tensor.shape) > 1:
            values = np.frombuffer(bytes(data), types[tensor.type])
            if tensor.type == schema.TensorType.INT4:
                values = np.stack([values & 15, values >> 4])
            zeros += int((values == 0).sum())
            total += values.size
    return zeros / total


def _each(begin: Callable[[], Runs], x: NDArray[Any], shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Return the outputs for each input, [n, steps * outputs], with a fresh interpreter for each sequence."""
    run = begin()
    rows = []
    for one in x:
        steps = one.reshape(-1, *shape)
        if len(steps) > 1:
            run = begin()
        rows.append(np.concatenate([run(step).astype(np.float64).ravel() for step in steps]))
    return np.stack(rows)


def _tflite_micro(model: Path) -> Runs:
    interpreter = runtime.Interpreter.from_file(str(model))

    def run(step: NDArray[Any]) -> NDArray[Any]:
        interpreter.set_input(step, 0)
        interpreter.invoke()
        result: NDArray[Any] = interpreter.get_output(0)
        return result

    return run


def _litert(model: Path, source: int, result: int) -> Runs:
    interpreter = Interpreter(str(model))
    interpreter.allocate_tensors()

    def run(step: NDArray[Any]) -> NDArray[Any]:
        interpreter.set_tensor(source, step)
        interpreter.invoke()
        answer: NDArray[Any] = interpreter.get_tensor(result)
        return answer

    return run
