"""Trained networks as .tflite files: float32, full int8, int8 weights under float32 activations, 16x8, int4 weights."""

from __future__ import annotations

import re
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import flatbuffers
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema
from ai_edge_quantizer import algorithm_manager, quantizer
from ai_edge_quantizer.qtyping import TFLOperationName
from zoo import streaming

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray
    from tf_keras import Model


def float32(model: Model) -> bytes:
    """Return the model for one float32 input."""
    converted: bytes = _converter(model).convert()
    return converted


def int8(model: Model, representative: NDArray[np.float32]) -> bytes:
    """Return the model with int8 weights, activations, input and output.

    Args:
        model: a plain network (post-training quantization), or one with learned ranges (quantization-aware training).
        representative: inputs that set the ranges of activations; not looked at where ranges were learned.
    """
    converter = _converter(model)

    def samples() -> Iterator[list[NDArray[np.float32]]]:
        for x in representative:
            steps = x[:, None] if model.name == streaming.NAME else (x,)
            yield from ([step[None]] for step in steps)

    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if len(representative):
        converter.representative_dataset = samples
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = tf.int8
    converter.inference_output_type = tf.int8
    converted: bytes = converter.convert()
    return converted


def int8_weights(model: bytes) -> bytes:
    """Return a float32 .tflite file with int8 weights, one scale per output channel, each behind a DEQUANTIZE."""
    with _quantizer(model) as work:
        for operation in (
            TFLOperationName.CONV_2D,
            TFLOperationName.DEPTHWISE_CONV_2D,
            TFLOperationName.FULLY_CONNECTED,
        ):
            work.add_weight_only_config(".*", operation, num_bits=8)
        return _with_old_operator_codes(bytes(work.quantize().quantized_model))


def int16x8(model: bytes, representative: NDArray[np.float32]) -> bytes:
    """Return a float32 .tflite file with int8 weights, and activations, input and output of int16."""
    with _quantizer(model) as work:
        work.add_static_config(".*", TFLOperationName.ALL_SUPPORTED, 16, 8)
        return _calibrated(work, representative)


def int4(model: bytes, representative: NDArray[np.float32]) -> bytes:
    """Return a float32 .tflite file in int8, with int4 weights of all convolutions but the first and the depthwise.

    Those have few weights, and 4 bits cost them more. The scales of int4 weights are those of OCTAV (Sakr et al.,
    "Optimal Clipping and Magnitude-aware Differentiation for Improved Quantization-aware Training", arXiv:2206.06501),
    which clips what lies far out.
    """
    octav = algorithm_manager.AlgorithmName.OCTAV
    graph = schema.ModelT.InitFromPackedBuf(model, 0).subgraphs[0]
    first = graph.tensors[graph.operators[0].outputs[0]].name.decode()
    with _quantizer(model) as work:
        work.add_static_config(".*", TFLOperationName.ALL_SUPPORTED, 8, 8)
        work.add_static_config(".*", TFLOperationName.CONV_2D, 8, 4, algorithm_key=octav)
        work.add_static_config(re.escape(first), TFLOperationName.CONV_2D, 8, 8)
        return _calibrated(work, representative)


@contextmanager
def _quantizer(model: bytes) -> Iterator[quantizer.Quantizer]:
    """AI Edge Quantizer takes files."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "float32.tflite"
        path.write_bytes(model)
        yield quantizer.Quantizer(str(path))


def _calibrated(work: quantizer.Quantizer, representative: NDArray[np.float32]) -> bytes:
    """Quantize by the ranges that activations have for representative inputs."""
    ranges = work.calibrate({"serving_default": [{"image": x[None]} for x in representative]})
    return _with_old_operator_codes(bytes(work.quantize(ranges).quantized_model))


def _with_old_operator_codes(content: bytes) -> bytes:
    """Return the file with operator codes in the old field too, where readers look that are older than the new one.

    TensorFlow's converter fills both fields; the quantizer's DEQUANTIZE has 0, which is ADD, in the old one.
    """
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    for code in model.operatorCodes:
        code.deprecatedBuiltinCode = min(code.builtinCode, 127)
    builder = flatbuffers.Builder(len(content))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _converter(model: Model) -> tf.lite.TFLiteConverter:
    if model.name == streaming.NAME:
        stream = streaming.Stream(model)
        converter = tf.lite.TFLiteConverter.from_concrete_functions([stream.function()], stream)
        converter.experimental_enable_resource_variables = True
        converter._experimental_variable_quantization = True  # noqa: SLF001 (else the variables stay float32)
        return converter
    shape = (1, *model.input_shape[1:])
    call = tf.function(model).get_concrete_function(tf.TensorSpec(shape, tf.float32, name="image"))
    return tf.lite.TFLiteConverter.from_concrete_functions([call], model)
