"""Runs .tflite files on the host: int8 ones in TFLite Micro's interpreter, those with float32 inputs in LiteRT's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from tflite_micro.python.tflite_micro import runtime

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


def input_shape(model: Path) -> tuple[int, ...]:
    """Return the shape of the model's input, with the batch of one."""
    return tuple(int(size) for size in Interpreter(str(model)).get_input_details()[0]["shape"])


def outputs(model: Path, x: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return what the model answers to each input, as real values [n, outputs].

    Args:
        model: the .tflite file.
        x: real inputs, float32 [n, height, width, channels], of the model's own size.
    """
    interpreter = Interpreter(str(model))
    details, answers = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    if details["dtype"] == np.float32:
        return _in_litert(interpreter, details["index"], answers["index"], x)
    scale, zero_point = answers["quantization"]
    return (_in_tflite_micro(model, quantize(x, *details["quantization"])) - zero_point) * scale


def quantize(x: NDArray[np.float32], scale: float, zero_point: int) -> NDArray[np.int8]:
    """Return int8 inputs: round(x / scale) + zero_point in float32, halves away from zero, as TensorFlow Lite does."""
    scaled = x / np.float32(scale)
    rounded = np.trunc(scaled + np.copysign(np.float32(0.5), scaled)) + zero_point
    return np.clip(rounded, -128, 127).astype(np.int8)


def share_of_zeros(content: bytes) -> float:
    """Return the share of a .tflite file's int8 or float32 weights that are 0; biases aren't counted."""
    types = {schema.TensorType.INT8: np.int8, schema.TensorType.FLOAT32: np.float32}
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    zeros = total = 0
    for tensor in model.subgraphs[0].tensors:
        data = model.buffers[tensor.buffer].data
        if data is not None and len(data) and tensor.type in types and len(tensor.shape) > 1:
            values = np.frombuffer(bytes(data), types[tensor.type])
            zeros += int((values == 0).sum())
            total += values.size
    return zeros / total


def _in_tflite_micro(model: Path, x: NDArray[np.int8]) -> NDArray[np.float64]:
    interpreter = runtime.Interpreter.from_file(str(model))
    answers = []
    for one in x:
        interpreter.set_input(one[np.newaxis], 0)
        interpreter.invoke()
        answers.append(interpreter.get_output(0).astype(np.float64).ravel())
    return np.stack(answers)


def _in_litert(interpreter: Interpreter, source: int, result: int, x: NDArray[np.float32]) -> NDArray[np.float64]:
    interpreter.allocate_tensors()
    answers = []
    for one in x:
        interpreter.set_tensor(source, one[np.newaxis])
        interpreter.invoke()
        answers.append(interpreter.get_tensor(result).astype(np.float64).ravel())
    return np.stack(answers)
