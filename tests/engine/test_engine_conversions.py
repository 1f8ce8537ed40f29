"""Every conversion between types that has a kernel, with random shapes and quantization, against an interpreter.

Bit for bit, with saturation and halves; GELU, which TFLite Micro lacks, against LiteRT and its definition.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from engine.targets import CortexModel, HostModel
from engine.tflite_writer import Op, T, constant, write_tflite
from harness.build import parse_tflite
from harness.build.interpreters import open_interpreter
from harness.build.operators import KINDS

#: A form that gets a kernel gets a row.
FORMS = [
    (kind, *types.split(" to ")) for kind in ("QUANTIZE", "DEQUANTIZE", "CAST") for types in sorted(KINDS[kind].lower)
]
#: What TFLite Micro lacks.
ONLY_LITERT = {("QUANTIZE", "float32", "uint8"), ("CAST", "uint8", "float32"), ("CAST", "uint8", "int32")}

#: Exponents of two of the least and the greatest scale.
SCALES = {"int8": (-8, -3), "uint8": (-8, -3), "int16": (-13, -9), "int32": (-20, -10)}


def tensor(rng, dtype, shape, *, exact):
    """`exact`: of scale a power of two, so that there are halves to round."""
    if dtype not in SCALES:
        return T(shape, dtype)
    low, high = SCALES[dtype]
    scale = 2.0 ** (rng.integers(low, high + 1) if exact else rng.uniform(low, high))
    limits = np.iinfo(dtype)
    zeros = [limits.min, limits.max, rng.integers(limits.min, limits.max + 1)] if limits.bits == 8 else [0]
    return T(shape, dtype, (float(np.float32(scale)),), (int(rng.choice(zeros)),))


def values_for(rng, x, y):
    """All bytes, or numbers of every magnitude; real values around all steps of a quantized output and beyond them."""
    count = math.prod(x.shape)
    if x.dtype == "float32" and y is not None:
        limits = np.iinfo(y.dtype)
        steps = rng.integers(limits.min - 20, limits.max + 20, count) - y.zeros[0]
        steps = steps + rng.choice([0.5, 0.0, *rng.uniform(-0.5, 0.5, 2)], count)
        steps[:2] = 1e6, -1e6
        values = steps * y.scales[0]
    elif x.dtype == "float32":
        values = rng.choice([-1, 1], count) * 2.0 ** rng.uniform(-3, 35, count)
        values[:9] = 0.5, -0.5, 1.5, -1.5, 2.0**31, -(2.0**31), np.inf, -np.inf, np.nan
    elif x.dtype == "bool":
        values = rng.integers(-1, 2, count)
    elif x.dtype in ("int32", "uint32"):
        values = np.trunc(rng.choice([-1, 1], count) * 2.0 ** rng.uniform(0, 31, count))
        values[:2] = np.iinfo(np.int32).min, np.iinfo(np.int32).max
    else:
        limits = np.iinfo(x.dtype)
        values = np.resize(rng.permutation(np.arange(limits.min, limits.max + 1)), count)
        values[:2] = limits.min, limits.max
    return values.astype({"bool": "int32", "uint32": "int32"}.get(x.dtype, x.dtype)).reshape(x.shape)


def between_ends(operator):
    """The operator with others around it where no model takes or gives its type."""
    (x,), y = operator.inputs, operator.output
    before, after = [], []
    if x.dtype == "bool":
        before = [Op("NOT_EQUAL", [T(x.shape, "int32"), constant(0, "int32")], x)]
    elif x.dtype == "uint32":
        before = [Op("CAST", [T(x.shape, "int32")], x)]
    if y.dtype == "uint32":
        after = [Op("CAST", [y], T(y.shape, "int32"))]
    return [*before, operator, *after]


@pytest.fixture(params=["host", pytest.param("cortex", marks=pytest.mark.slow)])
def compiled(request, tmp_path):
    """A function that compiles a .tflite file; the interpreter of that file."""
    kernels = request.getfixturevalue(f"{request.param}_kernels")
    model_of = {"host": HostModel, "cortex": CortexModel}[request.param]
    path = tmp_path / "model.tflite"

    def make(content, oracle="tflite-micro"):
        pytest.importorskip(
            {"tflite-micro": "tflite_micro", "litert": "ai_edge_litert"}[oracle], reason="the oracle isn't installed"
        )
        path.write_bytes(content)
        return model_of(parse_tflite(path), tmp_path, kernels), open_interpreter(path, [oracle])

    return make


@pytest.mark.parametrize(("kind", "source", "target"), FORMS)
def test_a_conversion(kind, source, target, compiled):
    """Four operators in one model: two with exact scales, two with any."""
    rng = np.random.default_rng([*f"{kind} {source} {target}".encode()])
    operators, chains = [], []
    for number in range(4):
        shape = (1, int(rng.integers(1, 9)), int(rng.integers(30, 60)))
        x, y = (tensor(rng, dtype, shape, exact=number < 2) for dtype in (source, target))
        operators.append(Op(kind, [x], y))
        chains.append(between_ends(operators[-1]))
    content = write_tflite(
        [operator for chain in chains for operator in chain],
        inputs=[chain[0].inputs[0] for chain in chains],
        outputs=[chain[-1].output for chain in chains],
    )
    model, oracle = compiled(content, "litert" if (kind, source, target) in ONLY_LITERT else "tflite-micro")
    values = [values_for(rng, op.inputs[0], op.output if kind == "QUANTIZE" else None) for op in operators]
    got, want = model(*values), oracle.infer(values)
    assert sum(len(np.unique(theirs)) for theirs in want) > (7 if source == "bool" else 60)
    for ours, theirs in zip(got, want, strict=True):
        np.testing.assert_array_equal(ours.ravel(), theirs)


def test_a_cast_of_a_constant_is_that_of_the_kernel(compiled):
    numbers = [0.5, -1.5, 7.9, 3e9, -3e9, np.inf, -np.inf, np.nan]
    x, number, y = T((1, 8), "int32"), T((1, 8), "int32"), T((1, 16), "int32")
    operators = [Op("CAST", [constant([numbers], "float32")], number), Op("CONCATENATION", [x, number], y, {"Axis": 1})]
    model, oracle = compiled(write_tflite(operators, x))
    values = np.arange(8, dtype=np.int32).reshape(1, 8)
    np.testing.assert_array_equal(model(values).ravel(), oracle.run(values))


def test_real_values_beyond_all_integers_saturate(compiled):
    """The interpreters convert them to an int32 without a look, which C leaves undefined: so here by the definition."""
    x = T((1, 7), "float32")
    outputs = [T(x.shape, *of) for of in (("int8", (0.125,), (3,)), ("uint8", (0.5,), (3,)), ("int16", (0.25,), (0,)))]
    model, _ = compiled(write_tflite([Op("QUANTIZE", [x], y) for y in outputs], inputs=[x], outputs=outputs), "litert")
    values = np.array([[3e9, -3e9, 1e30, -1e30, np.inf, -np.inf, -0.25]], np.float32)
    for got, y in zip(model(values), outputs, strict=True):
        limits, steps = np.iinfo(y.dtype), values / np.float32(y.scales[0])
        rounded = np.trunc(steps + np.copysign(np.float32(0.5), steps)) + y.zeros[0]  # halves away from zero
        np.testing.assert_array_equal(got, np.clip(rounded, limits.min, limits.max))


def gelu(x, *, approximate):
    """x times the normal distribution's share below x (https://arxiv.org/abs/1606.08415), in float64."""
    x = x.astype(np.float64)
    if approximate:
        return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    return 0.5 * x * np.vectorize(math.erfc)(-x / math.sqrt(2))


def test_both_forms_of_gelu(compiled):
    rng = np.random.default_rng(4)
    x = T((1, 7, 101), "float32")
    outputs = [T(x.shape, "float32") for _ in range(2)]
    operators = [Op("GELU", [x], y, {"Approximate": number}) for number, y in enumerate(outputs)]
    model, oracle = compiled(write_tflite(operators, inputs=[x], outputs=outputs), "litert")
    values = rng.uniform(-8, 8, x.shape).astype(np.float32)
    values[0, 0, :6] = -0.0, 30, -30, 1e-6, -1e-6, 1
    got, litert = model(values), oracle.infer([values])
    assert np.abs(got[0] - got[1]).max() > 1e-4  # so each is held against its own
    for approximate in range(2):
        close = {"rtol": 1e-5, "atol": 1e-6}
        np.testing.assert_allclose(got[approximate], gelu(values, approximate=approximate), **close)
        np.testing.assert_allclose(got[approximate].ravel(), litert[approximate], **close)
