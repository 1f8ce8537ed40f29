"""Random models around one operator each: shapes, strides, paddings and quantization parameters at random."""

from __future__ import annotations

import numpy as np

from engine.tflite_writer import Op, T, constant, write_tflite

SAME, VALID = 0, 1
UNARY = ("LOGISTIC", "TANH", "HARD_SWISH", "RELU", "RELU6", "LEAKY_RELU", "ABS", "ELU")
#: Of float32 only.
FLOAT_UNARY = ("EXP", "NEG", "SQUARE")
FLOAT_POSITIVE = ("LOG", "RSQRT", "SQRT")
FLOAT_ONLY = (*FLOAT_UNARY, *FLOAT_POSITIVE, "DIV", "FUNCTIONS", "PRELU", "SUM", "TILE")
#: Also of int16.
INT16 = (
    *("ADD", "AVERAGE_POOL_2D", "CONCATENATION", "CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "LEAKY_RELU"),
    *("LOGISTIC", "MAX_POOL_2D", "MEAN", "MUL", "PAD", "PADV2", "RELU", "RELU6", "SOFTMAX", "SUB", "TANH"),
    "UNIDIRECTIONAL_SEQUENCE_LSTM",
)
#: Scales and zero points that TFLite prescribes, by type.
PRESCRIBED = {
    ("LOGISTIC", "int8"): (1 / 256, -128),
    ("TANH", "int8"): (1 / 128, 0),
    ("SOFTMAX", "int8"): (1 / 256, -128),
    **{(kind, "int16"): (1 / 32768, 0) for kind in ("LOGISTIC", "TANH", "SOFTMAX")},
}


class Maker:
    """Makes tensors of one type with random quantization.

    `dtype` is that of the activations, "int8_weights" a float32 model whose weights are int8 behind a DEQUANTIZE,
    "float16_weights" one whose weights are float16, and "int4" an int8 model with weights of 4 bits.
    """

    def __init__(self, seed, dtype):
        self.rng = np.random.default_rng(seed)
        self.bits = 4 if dtype == "int4" else 8
        self.dtype = "float32" if dtype.endswith("_weights") else dtype.replace("int4", "int8")
        self.stored = dtype.removesuffix("_weights") if dtype.endswith("_weights") else None
        self.before = []  # operators that make weights

    def number(self, low, high):
        return int(self.rng.integers(low, high + 1))

    def pick(self, *choices):
        return choices[self.number(0, len(choices) - 1)]

    def scale(self, low=-8, high=-2):
        return float(np.float32(2.0 ** self.rng.uniform(low, high)))

    def integers(self, shape):
        limits = np.iinfo(self.dtype)
        return self.rng.integers(limits.min, limits.max + 1, shape)

    def zero(self):
        if self.dtype == "int16":
            return 0
        return self.pick(-128, 0, self.number(-128, 127), self.number(-20, 20))

    def tensor(self, shape, scale=None, zero=None):
        if self.dtype == "float32":
            return T(tuple(shape), "float32")
        if scale is None:
            scale = self.scale(-15, -9) if self.dtype == "int16" else self.scale()
        return T(tuple(shape), self.dtype, (float(np.float32(scale)),), (self.zero() if zero is None else zero,))

    def prescribed(self, kind, shape):
        return self.tensor(shape, *PRESCRIBED.get((kind, self.dtype), ()))

    def like(self, x, shape):
        return T(tuple(shape), x.dtype, x.scales, x.zeros)

    def image(self, channels=None):
        channels = channels or self.pick(1, 2, 3, 4, 5, 8, 12, 16)
        return self.tensor((1, self.number(1, 9), self.number(1, 9), channels))

    def any_shape(self):
        return (1, *(self.number(1, 9) for _ in range(self.number(1, 3))))

    def values(self, shape, scale=None):
        """A constant, of the activations' type."""
        if self.dtype == "float32":
            return constant(self.rng.normal(size=shape), "float32")
        return constant(self.integers(shape), self.dtype, (scale or self.scale(),), (self.zero(),))

    def values_like(self, x, shape):
        """A constant of a tensor's type and quantization."""
        if self.dtype == "float32":
            return constant(self.rng.normal(size=shape), "float32")
        return constant(self.integers(shape), self.dtype, x.scales, x.zeros)

    def weights(self, x, shape, axis, per_channel):
        """Weights and bias of a layer that reads x."""
        count = shape[axis]
        if self.dtype == "float32":
            bias = constant(self.rng.normal(size=count), "float32")
            if self.stored is not None:
                return self.dequantized(shape, axis, per_channel=per_channel), bias
            return constant(self.rng.normal(size=shape), "float32"), bias
        scales = tuple(self.scale(-9, -5) for _ in range(count if per_channel else 1))
        low = self.pick(-127, -127, -127, -128)
        of, most = self.pick(("int64", 1 << 26), ("int64", 1 << 34)) if self.dtype == "int16" else ("int32", 3000)
        bias = constant(self.rng.integers(-most, most, count), of, tuple(x.scales[0] * scale for scale in scales))
        if self.bits == 4:
            return constant(self.rng.integers(self.pick(-8, -7), 8, shape), "int4", scales, axis=axis), bias
        return constant(self.rng.integers(low, 128, shape), "int8", scales, axis=axis), bias

    def dequantized(self, shape, axis, *, per_channel):
        """Weights that a DEQUANTIZE makes of a smaller constant."""
        if self.stored == "float16":
            source = constant(self.rng.normal(size=shape), "float16")
        else:
            scales = tuple(self.scale(-9, -5) for _ in range(shape[axis] if per_channel else 1))
            zeros = self.pick((0,), (0,), (3,))
            source = constant(self.rng.integers(-128, 128, shape), "int8", scales, zeros, axis)
        weights = T(tuple(shape), "float32")
        self.before.append(Op("DEQUANTIZE", [source], weights))
        return weights

    def layer_output(self, shape, x, weights, terms):
        """An output whose scale fits sums of so many products."""
        if self.dtype == "float32":
            return T(tuple(shape), "float32")
        bits = np.iinfo(self.dtype).bits
        spread = x.scales[0] * max(weights.scales) * 74 * 74 * 2.0 ** (self.bits + bits - 16) * terms**0.5
        return self.tensor(shape, spread / 2.0 ** self.rng.uniform(bits - 4, bits - 1))


def unary(m, kind):
    x = m.tensor(m.any_shape())
    if kind in ("LOGISTIC", "TANH") and m.dtype != "float32":
        x.scales = (m.pick(2.0**-12, 2.0**-11, x.scales[0]),) if m.dtype == "int16" else x.scales
        y = m.prescribed(kind, x.shape)
    elif kind == "RELU6" or m.dtype == "float32":  # TFLite Micro's int8 ReLU6 doesn't change scales
        y = m.like(x, x.shape)
    else:
        y = m.tensor(x.shape, x.scales[0] * 2.0 ** m.rng.uniform(-1.5, 1.5))
    return [Op(kind, [x], y, {"Alpha": float(m.rng.uniform(0, 0.9))} if kind == "LEAKY_RELU" else {})]


def float_unary(m, kind):
    x = m.tensor(m.any_shape())
    if kind in FLOAT_UNARY:
        return [Op(kind, [x], m.like(x, x.shape))]
    squares, more = m.like(x, x.shape), m.like(x, x.shape)
    above = constant(np.full(x.shape, 0.1), "float32")
    return [Op("SQUARE", [x], squares), Op("ADD", [squares, above], more), Op(kind, [more], m.like(x, x.shape))]


def reduction(m, kind):
    x = m.image()
    axes, shape = m.pick(([1, 2], (1, x.shape[3])), ([1], (1, *x.shape[2:])), ([3], (1, 1, 1)))
    if len(shape) == 3 and shape == (1, 1, 1):
        x.shape = (1, 1, 1, x.shape[3])
    return [Op(kind, [x, constant(axes, "int32")], m.like(x, shape), {"KeepDims": 0})]


def arg_max(m, kind):
    x = m.tensor((1, m.number(1, 5), m.number(2, 20)))
    return [Op(kind, [x, constant(2, "int32")], T(x.shape[:2], "int32"), {"OutputType": 2})]


def pair(m, kind):
    """A function of two tensors, of one scale where it doesn't scale; the second may be constant or repeat."""
    x = m.image()
    start, y = m.like(x, x.shape), m.like(x, x.shape)
    form = m.pick("computed", "one", "channel")
    if form == "computed":
        other = m.like(x, x.shape)
        before = [Op("RELU", [start], x), Op("RESHAPE", [start, constant(x.shape, "int32")], other)]
    else:
        other, before = m.values_like(x, () if form == "one" else x.shape[-1:]), [Op("RELU", [start], x)]
        if kind == "DIV":
            other.data = np.abs(other.data) + 0.5
    swapped = kind not in ("PRELU", "DIV") and form != "channel" and m.dtype != "int16" and m.number(0, 1)
    if kind == "SUB" and m.dtype != "float32":
        y = m.tensor(x.shape, x.scales[0] * 2.0 ** m.rng.uniform(-1, 1.5))
    if kind == "DIV" and form == "computed":
        return [before[0], Op("EXP", [start], other), Op(kind, [x, other], y, {"FusedActivationFunction": 0})]
    options = {} if kind in ("MINIMUM", "MAXIMUM", "PRELU") else {"FusedActivationFunction": m.pick(0, 0, 1, 3)}
    return [*before, Op(kind, [other, x] if swapped else [x, other], y, options)]


def gathered(results):
    """What joins results of any shapes and scales in one output, value by value as they are."""
    operators, flat = [], []
    for y in results:
        number = T(y.shape, "float32")
        if y.dtype != "float32":
            operators.append(Op("DEQUANTIZE" if y.dtype == "int8" else "CAST", [y], number))
        flat.append(T((int(np.prod(y.shape)),), "float32"))
        operators.append(
            Op("RESHAPE", [y if y.dtype == "float32" else number, constant(flat[-1].shape, "int32")], flat[-1])
        )
    whole = T((sum(y.shape[0] for y in flat),), "float32")
    return [*operators, Op("CONCATENATION", flat, whole, {"Axis": 0})]


def reductions(m, _kind):
    """Reductions of one tensor over any dimensions, and running sums."""
    x = m.tensor([m.number(1, 6) for _ in range(m.number(1, 4))])
    operators = []
    for kind in ("MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN", *(["CUMSUM"] if m.dtype == "float32" else [])):
        axes = [d for d in range(len(x.shape)) if m.number(0, 1)] or [len(x.shape) - 1]
        keep = m.number(0, 1)
        shape = [1 if d in axes else n for d, n in enumerate(x.shape) if keep or d not in axes]
        scaled = kind in ("MEAN", "SUM") and m.dtype == "int8"
        y = m.tensor(shape, x.scales[0] * 2.0 ** m.rng.uniform(-2, 3)) if scaled else m.like(x, shape)
        options = {"KeepDims": keep}
        if kind == "CUMSUM":
            axes, y, options = axes[0], m.like(x, x.shape), {"Exclusive": m.number(0, 1), "Reverse": m.number(0, 1)}
        operators.append(Op(kind, [x, constant(axes, "int32")], y, options))
    return [*operators, *gathered([op.output for op in operators])]


def functions(m, _kind):
    x = m.tensor(m.any_shape())
    operators = [Op(kind, [x], m.like(x, x.shape)) for kind in ("CEIL", "COS", "FLOOR", "LOG_SOFTMAX", "ROUND", "SIN")]
    return [*operators, *gathered([op.output for op in operators])]


def fitting(m, start, *, same):
    """A mean of some of a tensor's dimensions, or a constant; and the operators that compute it."""
    over = [0, *(d for d in range(1, len(start.shape)) if m.number(0, 1))]
    shape = [1 if d in over else n for d, n in enumerate(start.shape)]
    scale = start.scales[0] * 2.0 ** m.rng.uniform(-1, 1) if m.dtype == "int8" else None
    x = m.like(start, shape) if same else m.tensor(shape, scale)
    return x, [Op("MEAN", [start, constant(over, "int32")], x, {"KeepDims": 1})]


def operands(m, start, *, same=False, positive=False):
    """Two tensors, each of which may repeat along any dimension or (one of them) be constant, and their shape."""
    (x1, before), (x2, more) = (fitting(m, start, same=same) for _ in range(2))
    if positive or m.number(0, 1):
        x2, more = m.values_like(x2, x2.shape[m.number(0, len(x2.shape)) :]), []
    if positive:
        x2.data = np.float32(m.pick(0.5, 1.5, 3)) + np.abs(x2.data)
    return x1, x2, np.broadcast_shapes(x1.shape, x2.shape), [*before, *more]


#: Functions of two tensors: for int8 those that scale, those that need one scale; those of float32 only.
SCALED = ("ADD", "SUB", "MUL", "SQUARED_DIFFERENCE", "PRELU")
SAME_SCALE = ("MINIMUM", "MAXIMUM", "SELECT_V2")
FLOAT_PAIRS = ("DIV", "POW", "FLOOR_DIV", "FLOOR_MOD")
ORDER = ("LESS", "LESS_EQUAL", "GREATER", "GREATER_EQUAL", "EQUAL", "NOT_EQUAL")


def start_of(m):
    return m.tensor([1, *(m.number(2, 5) for _ in range(m.number(1, 3)))])


def broadcast(m, _kind):
    """Functions of two tensors of any shapes that fit each other."""
    start, operators, results = start_of(m), [], []
    for kind in (*SCALED, *SAME_SCALE, *(FLOAT_PAIRS if m.dtype == "float32" else ())):
        same = kind in SAME_SCALE
        x1, x2, shape, before = operands(m, start, same=same, positive=kind in FLOAT_PAIRS)
        if kind == "PRELU":  # whose output has the first one's shape
            x2, shape = m.values_like(x2, x1.shape[m.number(0, len(x1.shape)) :]), x1.shape
            before = [op for op in before if op.output is x1]
        if kind in ("POW", "FLOOR_MOD"):
            before.append(Op("EXP", [x1], x1 := m.like(x1, x1.shape)))
        inputs = [x1, x2] if kind in (*FLOAT_PAIRS, "PRELU") or m.number(0, 1) else [x2, x1]
        scale = None
        if m.dtype == "int8":
            scale = {"MUL": 2.0**7, "PRELU": 1}.get(kind, 0) * x1.scales[0] * x2.scales[0] or 2 * x1.scales[0]
        y = m.like(x1, shape) if same else m.tensor(shape, scale)
        if kind == "SELECT_V2":
            flag = T(x1.shape, "bool")
            before.append(Op("GREATER", [x1, m.values_like(x1, ())], flag))
            inputs = [flag, *inputs]
        options = {"FusedActivationFunction": m.pick(0, 1, 3)} if kind in ("ADD", "SUB", "MUL", "DIV") else {}
        operators += [*before, Op(kind, inputs, y, options)]
        results.append(y)
    return [*operators, *gathered(results)]


def comparisons(m, _kind):
    """Comparisons, what logic makes of them, and which of the integers of that count."""
    start, operators, numbers = start_of(m), [], []
    for kind in ORDER:
        x1, x2, shape, before = operands(m, start, same=m.number(0, 1))
        flag = T(shape, "bool")
        operators += [*before, Op(kind, [x1, x2] if m.number(0, 1) else [x2, x1], flag)]
        both, either, no = (T(shape, "bool") for _ in range(3))
        last, number = T(shape, "bool"), T(shape, "int32")
        operators.append(Op("LOGICAL_AND", [flag, constant(m.rng.integers(0, 2, shape), "bool")], both))
        operators += [Op("LOGICAL_NOT", [flag], no), Op("LOGICAL_OR", [both, no], either)]
        operators += [Op(m.pick("EQUAL", "NOT_EQUAL"), [either, flag], last), Op("CAST", [last], number)]
        for more in ("ADD", "SUB", "MUL", "SQUARED_DIFFERENCE", "MAXIMUM", "MINIMUM"):
            operand = constant(m.rng.integers(-9, 9, shape[-1:]), "int32")
            options = {"FusedActivationFunction": 0} if more in ("ADD", "SUB", "MUL") else {}
            operators.append(Op(more, [number, operand], number := T(shape, "int32"), options))
        numbers.append(number)
    return [*operators, *gathered(numbers)]


def quantize(m, _kind):
    """From float or int8 to int8, and back to float."""
    x = m.tensor(m.any_shape())
    q, r = (T(x.shape, "int8", (m.scale(-7, -4),), (m.number(-60, 60),)) for _ in range(2))
    return [Op("QUANTIZE", [x], q), Op("QUANTIZE", [q], r), Op("DEQUANTIZE", [r], T(x.shape, "float32"))]


def binary(m, kind):
    """A sum or product of two computed tensors, or with a constant: of the same shape, per channel, of one value."""
    operators = []
    x = m.image() if m.number(0, 1) else m.tensor(m.any_shape())
    other = m.tensor(x.shape, None if m.dtype == "float32" else x.scales[0] * 2.0 ** m.rng.uniform(-2, 2))
    form = m.pick("computed", "computed", "channel", "one", "full", "mean")
    if form == "computed":
        operators.append(Op("LEAKY_RELU", [x], other, {"Alpha": 0.5}))
    elif form == "mean" and len(x.shape) == 4:
        other.shape = (1, 1, 1, x.shape[3])
        operators.append(Op("MEAN", [x, constant([1, 2], "int32")], other, {"KeepDims": 1}))
    else:
        shape = {"channel": x.shape[-1:], "one": m.pick((), (1,), (1, 1, 1)[: len(x.shape)])}.get(form, x.shape)
        other = m.values(shape, other.scales[0] if other.scales else None)
    inputs = [x, other] if m.number(0, 2) else [other, x]
    if m.dtype == "float32":
        y = m.tensor(x.shape)
    elif kind == "ADD":
        y = m.tensor(x.shape, max(x.scales[0], other.scales[0]) * 2.0 ** m.rng.uniform(-1, 1.5))
    else:
        y = m.tensor(x.shape, x.scales[0] * other.scales[0] * 2.0 ** (m.rng.uniform(3, 9) + np.iinfo(m.dtype).bits - 8))
    options = {"FusedActivationFunction": m.pick(0, 0, 0, 1, 2, 3)}
    if other.data is None:
        return [*operators, Op(kind, inputs, y, options)]
    # the model's input must come first
    start = m.like(x, x.shape)
    return [Op("RESHAPE", [start, constant(x.shape, "int32")], x), Op(kind, inputs, y, options)]


def concatenation(m, _kind):
    x = m.image()
    axis = m.pick(3, 3, 2, 1, -1)
    parts, operators = [x], []
    for _ in range(m.number(1, 4)):
        grow = [[0, 0] for _ in x.shape]
        grow[axis] = [m.number(0, 2), m.number(0, 2)]
        shape = [n + sum(g) for n, g in zip(x.shape, grow, strict=True)]
        parts.append(m.like(x, shape))
        operators.append(Op("PAD", [x, constant(grow, "int32")], parts[-1]))
    m.rng.shuffle(parts)
    shape = list(x.shape)
    shape[axis] = sum(part.shape[axis] for part in parts)
    return [*operators, Op("CONCATENATION", parts, m.like(x, shape), {"Axis": axis})]


def pad(m, kind):
    x = m.tensor(m.any_shape())
    grow = [[m.pick(0, m.number(0, 3)), m.pick(0, m.number(0, 3))] for _ in x.shape]
    y = m.like(x, [n + sum(g) for n, g in zip(x.shape, grow, strict=True)])
    inputs = [x, constant(grow, "int32")]
    if kind == "PADV2":
        inputs.append(constant([m.number(-100, 100)], x.dtype, x.scales, x.zeros))
    return [Op(kind, inputs, y)]


def mean(m, _kind):
    x = m.image() if m.number(0, 2) else m.tensor((1, m.number(2, 40), m.number(1, 9)))
    axes = m.pick([1, 2], [2, 1], [1, 2]) if len(x.shape) == 4 else m.pick([1], [-2])
    if len(x.shape) == 4 and m.number(0, 2) == 0:
        x.shape = (1, 1, *x.shape[2:])
        axes = [2]
    keep = m.number(0, 1)
    kept = [1 if d in [a % len(x.shape) for a in axes] else n for d, n in enumerate(x.shape)]
    shape = kept if keep else [n for d, n in enumerate(x.shape) if d not in [a % len(x.shape) for a in axes]]
    y = m.tensor(shape, None if m.dtype == "float32" else x.scales[0] * 2.0 ** m.rng.uniform(-2, 0.3))
    return [Op("MEAN", [x, constant(axes, "int32")], y, {"KeepDims": keep})]


def window(size, kernel, stride, padding):
    """Sizes of the output."""
    pairs = zip(size, kernel, stride, strict=True)
    return [-(-n // s) if padding == SAME else (n - k) // s + 1 for n, k, s in pairs]


def sliding(m, x):
    """A random kernel, stride and padding that fit an image."""
    size = x.shape[1:3]
    kernel = (3, 3) if min(size) >= 3 and m.number(0, 1) else tuple(m.number(1, min(n, 5)) for n in size)
    stride, padding = (m.number(1, 3), m.number(1, 3)), m.pick(SAME, VALID)
    options = {"Padding": padding, "StrideH": stride[0], "StrideW": stride[1]}
    return kernel, options, window(size, kernel, stride, padding)


def convolution(m, _kind):
    x = m.image()
    kernel, options, out = sliding(m, x)
    if m.number(0, 3) == 0:
        kernel, options, out = (1, 1), {"Padding": SAME, "StrideH": 1, "StrideW": 1}, x.shape[1:3]
    channels = m.number(1, 20)
    w, b = m.weights(x, (channels, *kernel, x.shape[3]), 0, per_channel=m.number(0, 3) > 0)
    y = m.layer_output((1, *out, channels), x, w, kernel[0] * kernel[1] * x.shape[3])
    options |= {"FusedActivationFunction": m.pick(0, 1, 2, 3), "DilationHFactor": 1, "DilationWFactor": 1}
    return [Op("CONV_2D", [x, w, m.pick(b, b, None) if m.dtype == "int8" else b], y, options)]


def depthwise(m, _kind):
    x = m.image()
    kernel, options, out = sliding(m, x)
    times = m.pick(1, 1, 2, 3)
    channels = x.shape[3] * times
    w, b = m.weights(x, (1, *kernel, channels), 3, per_channel=m.number(0, 3) > 0)
    y = m.layer_output((1, *out, channels), x, w, kernel[0] * kernel[1])
    options |= {"FusedActivationFunction": m.pick(0, 0, 1, 2, 3), "DepthMultiplier": times}
    options |= {"DilationHFactor": 1, "DilationWFactor": 1}
    return [Op("DEPTHWISE_CONV_2D", [x, w, b], y, options)]


def spread(m, kind):
    """A dilated convolution, with several channels in a group or (GROUPED) with several groups, or a transposed one."""
    depthwise, groups = kind == "DEPTHWISE_DILATED", m.number(2, 4) if kind == "CONV_GROUPED" else 1
    x, each = m.tensor((1, m.number(5, 12), m.number(5, 12), groups * m.pick(m.number(1, 9), 4, 8))), m.number(1, 5)
    kernel, dilation = (m.number(1, 3), m.number(2, 3)), m.pick((1, 2), (2, 1), (2, 2), (1, 1))
    stride, padding = m.pick((1, 1), (1, 1), (2, 1), (2, 3)), m.pick(SAME, VALID)
    options = {
        "Padding": padding,
        "StrideH": stride[0],
        "StrideW": stride[1],
        "FusedActivationFunction": m.pick(0, 1, 3),
    }
    if kind == "TRANSPOSE_CONV":
        size = [
            n * s if padding == SAME else (n - 1) * s + k for n, s, k in zip(x.shape[1:3], stride, kernel, strict=True)
        ]
        size = [n - m.number(0, s - 1) * (padding == SAME) for n, s in zip(size, stride, strict=True)]
        w, b = m.weights(x, (each, *kernel, x.shape[3]), 0, per_channel=m.number(0, 3) > 0)
        y = m.layer_output((1, *size, each), x, w, kernel[0] * kernel[1] * x.shape[3])
        return [Op(kind, [constant([1, *size, each], "int32"), w, x, *m.pick([b], [])], y, options)]
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    options |= {"DilationHFactor": dilation[0], "DilationWFactor": dilation[1]}
    channels = x.shape[3] * m.pick(1, 1, 2) if depthwise else groups * each
    shape = (1, *kernel, channels) if depthwise else (channels, *kernel, x.shape[3] // groups)
    w, b = m.weights(x, shape, 3 if depthwise else 0, per_channel=m.number(0, 3) > 0)
    terms = kernel[0] * kernel[1] * (1 if depthwise else shape[3])
    y = m.layer_output((1, *window(x.shape[1:3], reach, stride, padding), channels), x, w, terms)
    if depthwise:
        return [Op("DEPTHWISE_CONV_2D", [x, w, b], y, options | {"DepthMultiplier": channels // x.shape[3]})]
    return [Op("CONV_2D", [x, w, b], y, options)]


def in_pieces(m, _kind):
    """A dilated convolution as one over every other pixel, of an image or of a series, as converters write it."""
    series = m.number(0, 1)
    blocks = [m.number(2, 4)] if series else [m.number(1, 3), m.number(1, 3)]
    kernel = [m.number(1, 3) for _ in blocks]
    size, pads, crops = [m.number(12, 15) for _ in blocks], [], []
    for n, block, k in zip(size, blocks, kernel, strict=True):
        before, after = m.number(0, (k - 1) * block), m.number(0, 3)
        if m.dtype == "int8":  # TFLite Micro pads with what happens to be in memory
            before = after = 0
        end = -(n + before + after) % block
        pads.append([before, after + end])
        crops.append([m.number(0, min(before, block - 1)), end if m.dtype == "int8" else m.number(0, end)])
    channels, count = m.number(1, 6), int(np.prod(blocks))
    pieces = [(n + sum(p)) // b for n, p, b in zip(size, pads, blocks, strict=True)]
    made = [p - k + 1 for p, k in zip(pieces, kernel, strict=True)]
    out = [n * b - sum(c) for n, b, c in zip(made, blocks, crops, strict=True)]
    one = lambda numbers: ([1, *numbers] if flat else [*numbers, 1]) if series else numbers  # noqa: E731
    flat, depthwise = m.number(0, 1), m.number(0, 1)
    outputs = channels if depthwise else m.number(1, 5)
    x = m.tensor((1, *size, channels))
    shape = (1, *one(kernel), outputs) if depthwise else (outputs, *one(kernel), channels)
    w, b = m.weights(x, shape, 3 if depthwise else 0, per_channel=True)
    y = m.layer_output((1, *out, outputs), x, w, int(np.prod(kernel)) * (1 if depthwise else channels))
    cut, image = m.like(x, (count, *pieces, channels)), m.like(x, (count, *one(pieces), channels))
    result, joined = m.like(y, (count, *one(made), outputs)), m.like(y, (count, *made, outputs))
    options = dict.fromkeys(("StrideH", "StrideW", "DilationHFactor", "DilationWFactor", "DepthMultiplier"), 1)
    options |= {"Padding": VALID, "FusedActivationFunction": m.pick(0, 1)}
    if not depthwise:
        del options["DepthMultiplier"]
    around = [constant(numbers, "int32") for numbers in (blocks, pads, crops)]
    if not series:
        image, joined = cut, result
    renamed = [Op("RESHAPE", [a, constant(b.shape, "int32")], b) for a, b in ((cut, image), (result, joined))]
    return [
        Op("SPACE_TO_BATCH_ND", [x, around[0], around[1]], cut),
        *(renamed[:1] if series else []),
        Op("DEPTHWISE_CONV_2D" if depthwise else "CONV_2D", [image, w, b], result, options),
        *(renamed[1:] if series else []),
        Op("BATCH_TO_SPACE_ND", [joined, around[0], around[2]], y),
    ]


SPREAD = ("CONV_DILATED", "CONV_GROUPED", "DEPTHWISE_DILATED", "TRANSPOSE_CONV")


def fully_connected(m, _kind):
    x = m.tensor((m.pick(1, 1, m.number(2, 5)), m.number(1, 70)))
    outputs = m.number(1, 20)
    # TFLite Micro takes one scale of int4
    w, b = m.weights(x, (outputs, x.shape[1]), 0, per_channel=m.number(0, 1) > 0 and m.bits == 8)
    y = m.layer_output((x.shape[0], outputs), x, w, x.shape[1])
    return [Op("FULLY_CONNECTED", [x, w, b], y, {"FusedActivationFunction": m.pick(0, 1, 2, 3)})]


def pool(m, kind):
    x = m.image()
    kernel, options, out = sliding(m, x)
    options |= {"FilterHeight": kernel[0], "FilterWidth": kernel[1], "FusedActivationFunction": m.pick(0, 0, 1, 2)}
    return [Op(kind, [x], m.like(x, (1, *out, x.shape[3])), options)]


def softmax(m, _kind):
    x = m.tensor((m.number(1, 4), m.number(1, 20)))
    y = m.prescribed("SOFTMAX", x.shape)
    if m.dtype == "int8" and m.number(0, 1):
        y = T(x.shape, "int16", (1 / 65535,), (-32768,))
    return [Op("SOFTMAX", [x], y, {"Beta": 1.0})]


def moved(m, kind):
    """An operator that only moves values, behind one that computes them."""
    many = kind in ("TRANSPOSE", "SLICE", "SPLIT") and m.number(0, 2)  # TFLite Micro takes 4 dimensions of others
    x = m.tensor((1, *(m.number(1, 5) for _ in range(4)))) if many else m.image()
    operators = MOVED[kind](m, kind, x)
    return [Op("RELU", [m.like(x, x.shape)], x), *operators]


def strided(m, kind, x):
    """A random part of each dimension, some taken at one place."""
    begin, end, strides, shape, shrunk = [], [], [], [], 0
    for d, size in enumerate(x.shape):
        low, high = sorted((m.number(0, size), m.number(0, size)))
        low, high, step = (low, high, m.pick(1, 1, 2, 3)) if low < high else (0, size, 1)
        if m.number(0, 4) == 0 and shape:
            shrunk |= 1 << d
            high, step = low + 1, 1
        else:
            shape.append(len(range(low, high, step)))
        begin.append(low if m.number(0, 1) else low - size)
        end.append(high)
        strides.append(step)
    masks = {"BeginMask": 0, "EndMask": 0, "EllipsisMask": 0, "NewAxisMask": 0, "ShrinkAxisMask": shrunk}
    return [Op(kind, [x, *(constant(numbers, "int32") for numbers in (begin, end, strides))], m.like(x, shape), masks)]


def transpose(m, kind, x):
    order = m.rng.permutation(len(x.shape))
    return [Op(kind, [x, constant(order, "int32")], m.like(x, [x.shape[d] for d in order]))]


def part(m, kind, x):
    begin = [m.number(0, n - 1) for n in x.shape]
    sizes = [m.pick(-1, m.number(1, n - low)) for low, n in zip(begin, x.shape, strict=True)]
    shape = [n - low if s < 0 else s for s, low, n in zip(sizes, begin, x.shape, strict=True)]
    return [Op(kind, [x, constant(begin, "int32"), constant(sizes, "int32")], m.like(x, shape))]


def gather(m, kind, x):
    axis = m.number(0, len(x.shape) - 1)
    picked = m.rng.integers(0, x.shape[axis], m.number(1, 6))
    shape = (*x.shape[:axis], len(picked), *x.shape[axis + 1 :])
    return [Op(kind, [x, constant(picked, "int32")], m.like(x, shape), {"Axis": axis, "BatchDims": 0})]


def unpack_and_pack(m, kind, x):
    axis, at = (m.number(0, len(x.shape) - 1) for _ in range(2))
    pieces = [m.like(x, [n for d, n in enumerate(x.shape) if d != axis]) for _ in range(x.shape[axis])]
    mixed = [pieces[int(n)] for n in m.rng.permutation(len(pieces))]
    shape = [*mixed[0].shape[:at], len(mixed), *mixed[0].shape[at:]]
    return [
        Op("UNPACK", [x], pieces, {"Axis": axis, "Num": len(pieces)}),
        Op(kind, mixed, m.like(x, shape), {"Axis": at, "ValuesCount": len(mixed)}),
    ]


def split(m, kind, x):
    """Parts, put together again in another order and with a constant."""
    axis = m.number(0, len(x.shape) - 1)
    along = lambda size: (*x.shape[:axis], size, *x.shape[axis + 1 :])  # noqa: E731
    sizes = [m.number(1, 3)] * 3 if kind == "SPLIT" else [m.number(1, 3) for _ in range(m.number(1, 4))]
    x.shape = along(sum(sizes))
    parts = [m.like(x, along(size)) for size in sizes]
    where, more = constant([axis], "int32"), m.values_like(x, along(2))
    inputs = [where, x] if kind == "SPLIT" else [x, constant(sizes, "int32"), where]
    mixed = [*(parts[int(n)] for n in m.rng.permutation(len(parts))), more]
    whole = m.like(x, along(sum(sizes) + 2))
    return [Op(kind, inputs, parts, {"NumSplits": len(parts)}), Op("CONCATENATION", mixed, whole, {"Axis": axis})]


def blocks(m, kind, x):
    block, h, w, c = m.number(2, 3), m.number(1, 4), m.number(1, 4), m.number(1, 5)
    shapes = [(1, h * block, w * block, c), (1, h, w, c * block**2)]
    x.shape, shape = shapes if kind == "SPACE_TO_DEPTH" else reversed(shapes)
    return [Op(kind, [x], m.like(x, shape), {"BlockSize": block})]


def nearest(m, kind, x):
    out = [m.pick(n, 2 * n, 3 * n, m.number(1, 12)) for n in x.shape[1:3]]
    corners, centres = m.pick((0, 0), (1, 0), (0, 1))
    options = {"AlignCorners": corners, "HalfPixelCenters": centres}
    return [Op(kind, [x, constant(out, "int32")], m.like(x, (1, *out, x.shape[3])), options)]


def mirrored(m, kind, x):
    mode = m.number(0, 1)
    grow = [[m.number(0, n - 1 + mode) for _ in range(2)] for n in x.shape]
    y = m.like(x, [n + sum(g) for n, g in zip(x.shape, grow, strict=True)])
    return [Op(kind, [x, constant(grow, "int32")], y, {"Mode": mode})]


def repeated(m, kind, x):
    """Each dimension a few times (TILE), one of a single value many times (BROADCAST_TO), or backwards."""
    times = [m.number(1, 3) for _ in x.shape]
    if kind == "BROADCAST_TO":
        x.shape = tuple(1 if n > 1 else size for n, size in zip(times, x.shape, strict=True))
    shape = x.shape if kind == "REVERSE_V2" else [n * size for n, size in zip(times, x.shape, strict=True)]
    second = {"TILE": times, "BROADCAST_TO": shape, "REVERSE_V2": [m.number(0, len(x.shape) - 1)]}[kind]
    return [Op(kind, [x, constant(second, "int32")], m.like(x, shape))]


MOVED = {
    **dict.fromkeys(("BROADCAST_TO", "REVERSE_V2", "TILE"), repeated),
    "DEPTH_TO_SPACE": blocks,
    "GATHER": gather,
    "MIRROR_PAD": mirrored,
    "PACK": unpack_and_pack,
    "RESIZE_BILINEAR": nearest,
    "RESIZE_NEAREST_NEIGHBOR": nearest,
    "SLICE": part,
    "SPACE_TO_DEPTH": blocks,
    "SPLIT": split,
    "SPLIT_V": split,
    "STRIDED_SLICE": strided,
    "TRANSPOSE": transpose,
}


def flatten(m, _kind):
    """A layer in channels first, flattened as Keras and PyTorch do it: to [size of the batch, -1]."""
    start = m.image()
    x, turned = m.like(start, start.shape), m.like(start, [start.shape[d] for d in (0, 3, 1, 2)])
    shape, batch, to = T((4,), "int32"), T((), "int32"), T((2,), "int32")
    depth = int(np.prod(x.shape))
    masks = {"BeginMask": 0, "EndMask": 0, "EllipsisMask": 0, "NewAxisMask": 0, "ShrinkAxisMask": 1}
    w, b = m.weights(x, (3, depth), 0, per_channel=False)
    flat = m.like(x, (1, depth))
    return [
        Op("RELU", [start], x),
        Op("TRANSPOSE", [x, constant([0, 3, 1, 2], "int32")], turned),
        Op("SHAPE", [turned], shape, {"OutType": 2}),
        Op("STRIDED_SLICE", [shape, *(constant([n], "int32") for n in (0, 1, 1))], batch, masks),
        Op("PACK", [batch, constant(-1, "int32")], to, {"Axis": 0, "ValuesCount": 2}),
        Op("RESHAPE", [turned, to], flat),
        Op("FULLY_CONNECTED", [flat, w, b], m.layer_output((1, 3), x, w, depth), {"FusedActivationFunction": 0}),
    ]


def batch_matmul(m, kind):
    """Both factors made of the input, or the second a constant; each as it is or on its side."""
    batches, depth, rows, columns = m.number(1, 3), m.number(1, 9), m.number(1, 7), m.number(1, 7)
    on_side = m.number(0, 1), m.number(0, 1)
    shape = lambda lines, side: (batches, depth, lines) if side else (batches, lines, depth)  # noqa: E731
    x = m.tensor(shape(rows, on_side[0]))
    constant_one = m.number(0, 1)
    columns, many = (columns, m.pick((), (1,))) if constant_one else (rows, (batches,))
    second = (*many, *shape(columns, not on_side[1])[1:])
    other, before = (m.values(second), []) if constant_one else (m.like(x, second), None)
    if before is None:
        before = [Op("RESHAPE", [x, constant(second, "int32")], other)]
    y = m.layer_output((batches, rows, columns), x, other, depth)
    start = m.like(x, x.shape)
    options = {"AdjX": bool(on_side[0]), "AdjY": bool(on_side[1])}
    return [Op("RELU", [start], x), *before, Op(kind, [x, other], y, options)]


def l2_normalization(m, kind):
    x = m.tensor((m.number(1, 3), m.number(1, 3), m.number(1, 30)))
    return [Op(kind, [x], m.tensor(x.shape, 1 / 128, 0))]


def lstm(m, kind):
    """Several steps; the first unit's weights don't fit pairs of rows in some."""
    inputs, units, steps, major = (
        m.pick(1, 3, 4, m.number(5, 20)),
        m.pick(1, 2, 5, 8, 12),
        m.number(1, 6),
        m.number(0, 1),
    )
    batches = m.pick(1, 1, 3)
    x = m.tensor((steps, batches, inputs) if major else (batches, steps, inputs))
    hidden = m.tensor((batches, units), 2.0 ** (m.rng.uniform(-8, -6) - (8 if m.dtype == "int16" else 0)))
    y, cell = m.like(hidden, (*x.shape[:2], units)), T(hidden.shape, "float32")
    if m.dtype != "float32":
        cell = T(hidden.shape, "int16", (2.0 ** -m.number(8, 13),))
    weights = [m.weights(x if n < 4 else hidden, (units, inputs if n < 4 else units), 0, per_channel=False)
               for n in range(8)]  # fmt: skip
    hidden.variable = cell.variable = True
    tensors = [x, *(w for w, _ in weights), *[None] * 3, *(b for _, b in weights[:4]), None, None, hidden, cell]
    clip = m.pick(0.0, 10.0, 1.0)
    options = {"FusedActivationFunction": 4, "CellClip": clip, "ProjClip": 0.0, "TimeMajor": bool(major)}
    return [Op(kind, [*tensors, *[None] * 4], y, options)]


def svdf(m, kind):
    """Filters with a memory of int8 or int16."""
    batches, inputs, rank, memory = m.pick(1, 1, 2), m.number(1, 20), m.pick(1, 1, 2), m.number(1, 8)
    units = m.number(1, 9)
    filters, x = units * rank, m.tensor((batches, inputs))
    weights, _ = m.weights(x, (filters, inputs), 0, per_channel=False)
    if m.dtype == "float32":
        state = T((batches, memory * filters), "float32")
        time, bias = (constant(m.rng.normal(size=shape), "float32") for shape in ((filters, memory), units))
        y = T((batches, units), "float32")
    else:
        kept, low = m.pick(("int8", -127), ("int16", -32767))
        scale = x.scales[0] * weights.scales[0] * 70 * 70 * inputs**0.5 / -low * 4
        state = T((batches, memory * filters), kept, (float(np.float32(scale)),), (m.zero() if low == -127 else 0,))
        time = constant(m.rng.integers(low, 1 - low, (filters, memory)), kept, (m.scale(-9, -5) * 127 / -low,))
        bias = constant(m.rng.integers(-3000, 3000, units), "int32", (scale * time.scales[0],))
        y = m.tensor((batches, units), low**2 * scale * time.scales[0] * (memory * rank) ** 0.5 / 400)
    state.variable = True
    return [Op(kind, [x, weights, time, bias, state], y, {"Rank": rank, "FusedActivationFunction": m.pick(0, 1)})]


WITH_WEIGHTS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")

MAKERS = {
    **dict.fromkeys(MOVED, moved),
    "SHAPE": flatten,
    **dict.fromkeys((*FLOAT_UNARY, *FLOAT_POSITIVE), float_unary),
    **dict.fromkeys(("SUM", "REDUCE_MAX"), reduction),
    **dict.fromkeys(("SUB", "DIV", "MINIMUM", "MAXIMUM", "PRELU"), pair),
    **dict.fromkeys(("ARG_MAX", "ARG_MIN"), arg_max),
    **dict.fromkeys(UNARY, unary),
    "QUANTIZE": quantize,
    "BROADCAST": broadcast,
    "COMPARISONS": comparisons,
    "FUNCTIONS": functions,
    "REDUCTIONS": reductions,
    "ADD": binary,
    "MUL": binary,
    "CONCATENATION": concatenation,
    "PAD": pad,
    "PADV2": pad,
    "MEAN": mean,
    "CONV_2D": convolution,
    **dict.fromkeys(SPREAD, spread),
    "SPACE_TO_BATCH_ND": in_pieces,
    "DEPTHWISE_CONV_2D": depthwise,
    "FULLY_CONNECTED": fully_connected,
    "AVERAGE_POOL_2D": pool,
    "MAX_POOL_2D": pool,
    "SOFTMAX": softmax,
    "BATCH_MATMUL": batch_matmul,
    "L2_NORMALIZATION": l2_normalization,
    "SVDF": svdf,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": lstm,
}


def random_model(kind, seed, dtype):
    """The bytes of a .tflite file."""
    maker = Maker([seed, *kind.encode()], dtype)
    operators = MAKERS[kind](maker, kind)
    made = [op.output for op in maker.before]
    start = next(t for t in operators[0].inputs if t is not None and t.data is None and t not in made)
    return write_tflite([*maker.before, *operators], start)


def residual_model(seed):
    """The bytes of an int8 model of convolutions between two of whose images there are shortcuts."""
    m = Maker(seed, "int8")
    operators = []

    def layer(x, channels, kernel, stride):
        size = window(x.shape[1:3], (kernel, kernel), (stride, stride), SAME)
        depthwise = channels == 0
        channels = channels or x.shape[3]
        shape = (1, kernel, kernel, channels) if depthwise else (channels, kernel, kernel, x.shape[3])
        w, b = m.weights(x, shape, 3 if depthwise else 0, per_channel=True)
        y = m.layer_output((1, *size, channels), x, w, kernel * kernel * (1 if depthwise else x.shape[3]))
        options = {"Padding": SAME, "StrideH": stride, "StrideW": stride, "FusedActivationFunction": m.pick(0, 1)}
        options |= {"DilationHFactor": 1, "DilationWFactor": 1} | ({"DepthMultiplier": 1} if depthwise else {})
        operators.append(Op("DEPTHWISE_CONV_2D" if depthwise else "CONV_2D", [x, w, b], y, options))
        return y

    def added(a, b):
        y = m.tensor(a.shape, max(a.scales[0], b.scales[0]) * 2.0 ** m.rng.uniform(-1, 1))
        operators.append(Op("ADD", [a, b], y, {"FusedActivationFunction": m.pick(0, 1)}))
        return y

    start = m.tensor((1, m.number(9, 14), m.number(9, 14), 4))
    x = layer(start, 8, 3, m.number(1, 2))
    x = added(x, layer(layer(layer(x, 12, 1, 1), 0, 3, 1), 8, 1, 1))
    x = layer(x, 4 * m.number(1, 4), m.number(1, 3), m.number(1, 3))
    added(layer(x, 0, m.pick(3, 5), 1), x)
    return write_tflite(operators, start)
