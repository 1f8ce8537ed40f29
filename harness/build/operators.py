"""The operators that the compiler knows: options, forms that aren't damaged, types, and what computes them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from harness.build import (
    lower_broadcast,
    lower_elementwise,
    lower_layers,
    lower_move,
    lower_products,
    lower_recurrent,
    lower_shape,
    lower_signal,
    lower_values,
)
from harness.build.fits import any_shapes as _any_shapes
from harness.build.fits import is_arg_max as _is_arg_max
from harness.build.fits import is_convolution as _is_convolution
from harness.build.fits import is_depthwise as _is_depthwise
from harness.build.fits import is_joined as _is_joined
from harness.build.fits import is_mean as _is_mean
from harness.build.fits import is_packed as _is_packed
from harness.build.fits import is_padding as _is_padding
from harness.build.fits import is_pool as _is_pool
from harness.build.fits import is_product as _is_product
from harness.build.fits import is_softmax as _is_softmax
from harness.build.fits import is_window as _is_window
from harness.build.fits import one_for_one as _one_for_one
from harness.build.graph import ITEM_BYTES
from harness.build.options import MAP
from harness.build.widths import of_any_width

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from harness.build.step import Alias, Node, Step

    Lower = Callable[[Node], Step | Alias | tuple[Step | Alias, ...]]
    Fits = Callable[[Node], bool]


@dataclass(frozen=True)
class Kind:
    """One of TFLite's operators.

    Attributes:
        options: the table of options in the file, and the fields of it that are looked at.
        inputs: how many it takes, from and to.
        fits: whether a kernel would read and write just what the tensors hold; the lowering looks at the rest.
        lower: the kernel calls that compute it, by the types of input and output; none for what must be known before.
        outputs: how many it gives, from and to.
        needed: how many of its first inputs can't be left out; 0: the fewest, and two at least.
        main: position of the input whose type decides; -1: the output's does.
    """

    options: tuple[str, ...]
    inputs: tuple[int, int]
    fits: Fits
    lower: Mapping[str, Lower] = field(default_factory=dict)
    outputs: tuple[int, int] = (1, 1)
    needed: int = 0
    main: int = 0


def _both(lower: Lower) -> dict[str, Lower]:
    return {"int8 to int8": lower, "float32 to float32": lower}


_STRIDES = ("Padding", "StrideW", "StrideH")
_CONV = (*_STRIDES, "DilationWFactor", "DilationHFactor", "FusedActivationFunction")
_POOL = ("Pool2DOptions", *_STRIDES, "FilterWidth", "FilterHeight", "FusedActivationFunction")
_DENSE = ("FullyConnectedOptions", "FusedActivationFunction", "WeightsFormat", "QuantizedBiasType")
_LSTM = ("UnidirectionalSequenceLSTMOptions", "FusedActivationFunction", "CellClip", "TimeMajor")
_SOFTMAX = {**_both(lower_shape.softmax), "int8 to int16": lower_shape.softmax}
_UNARY = _both(lower_values.unary)
_FLOAT = {"float32 to float32": lower_values.unary}
_FLOAT_BINARY = {"float32 to float32": lower_elementwise.binary}
_BROADCAST = {"float32 to float32": lower_broadcast.broadcast}
_NUMBERS = {"int32 to int32": lower_broadcast.broadcast}
_ORDER = {f"{dtype} to bool": lower_broadcast.broadcast for dtype in ("int8", "float32", "int32")}
_ALL: dict[str, Lower] = {"bool to bool": lower_shape.reduction}
_SUMS: dict[str, Lower] = {"float32 to float32": lower_shape.cumsum}
_LOG_SOFTMAX: dict[str, Lower] = {"float32 to float32": lower_shape.log_softmax}
_NOT: dict[str, Lower] = {"bool to bool": lower_values.logical_not}
_LOGIC = {"bool to bool": lower_broadcast.broadcast}
_ARG_MAX = {f"{dtype} to int32": lower_elementwise.arg_max for dtype in ("int8", "float32")}
_RESCALED = ("int8 to int8", "int8 to uint8", "uint8 to int8", "int8 to int16", "int8 to int32", "int16 to int8",
             "int16 to int16", "int16 to int32", "int32 to int8", "int32 to int16")  # fmt: skip
_QUANTIZED = ("int8", "uint8", "int16")
_QUANTIZE = {
    **dict.fromkeys(_RESCALED, lower_values.requantize),
    **{f"float32 to {dtype}": lower_values.quantize for dtype in _QUANTIZED},
}
_DEQUANTIZE = {f"{dtype} to float32": lower_values.dequantize for dtype in _QUANTIZED}
_CAST: dict[str, Lower] = {
    "bool to int8": lower_move.renamed,
    **{f"bool to {dtype}": lower_values.cast for dtype in ("int32", "float32")},
    **{f"{dtype} to float32": lower_values.cast for dtype in (*_QUANTIZED, "int32")},
    **{f"{dtype} to int32": lower_values.cast for dtype in (*_QUANTIZED, "float32")},
    **{f"int32 to {dtype}": lower_values.cast for dtype in ("int8", "int16")},
    **dict.fromkeys(("int32 to uint32", "uint32 to int32"), lower_move.renamed),
    "uint32 to float32": lower_values.cast,
}
_MANY = 1 << 16


def _any_type(lower: Lower) -> dict[str, Lower]:
    return {f"{dtype} to {dtype}": lower for dtype in ITEM_BYTES}


_MOVES = _any_type(lower_move.moves)
_SELECT = {f"{t} to {t}": lower_broadcast.select for t in ("bool", "int8", "uint8", "int16", "int32", "float32")}
_BATCHES = _any_type(lower_move.batches)
_SLICES = ("BeginMask", "EndMask", "EllipsisMask", "NewAxisMask", "ShrinkAxisMask")

#: Where only the table of options is named, what it says is in the tensors' shapes, too.
_KINDS = {
    "ABS": Kind(("AbsOptions",), (1, 1), _one_for_one, _UNARY),
    "ADD": Kind(("AddOptions", "FusedActivationFunction"), (2, 2), _any_shapes, _both(lower_values.binary) | _NUMBERS),
    "ARG_MAX": Kind(("ArgMaxOptions",), (2, 2), _is_arg_max, _ARG_MAX),
    "ARG_MIN": Kind(("ArgMinOptions",), (2, 2), _is_arg_max, _ARG_MAX),
    "ASSIGN_VARIABLE": Kind(
        ("AssignVariableOptions",), (2, 2), _any_shapes, _any_type(lower_move.assign_variable), outputs=(0, 0)
    ),
    "AVERAGE_POOL_2D": Kind(_POOL, (1, 1), _is_pool, _both(lower_shape.pool)),
    "BATCH_TO_SPACE_ND": Kind(("BatchToSpaceNDOptions",), (3, 3), _any_shapes, _BATCHES),
    "BATCH_MATMUL": Kind(
        ("BatchMatMulOptions", "AdjX", "AdjY"), (2, 2), _any_shapes, _both(lower_products.batch_matmul)
    ),
    "BROADCAST_TO": Kind(("BroadcastToOptions",), (2, 2), _any_shapes, _MOVES),
    "CALL_ONCE": Kind(("CallOnceOptions", "InitSubgraphIndex"), (0, 0), _any_shapes, outputs=(0, 0)),
    "CAST": Kind(("CastOptions",), (1, 1), _one_for_one, _CAST),
    "CEIL": Kind(("NONE",), (1, 1), _one_for_one, _FLOAT),
    "CONCATENATION": Kind(
        ("ConcatenationOptions", "Axis", "FusedActivationFunction"),
        (1, _MANY),
        _is_joined,
        _any_type(lower_move.together),
        main=-1,
    ),
    "CONV_2D": Kind(
        ("Conv2DOptions", *_CONV, "QuantizedBiasType"), (2, 3), _is_convolution, _both(lower_layers.convolution)
    ),
    "COS": Kind(("CosOptions",), (1, 1), _one_for_one, _FLOAT),
    "CUMSUM": Kind(("CumsumOptions", "Exclusive", "Reverse"), (2, 2), _one_for_one, _SUMS),
    "DEPTHWISE_CONV_2D": Kind(("DepthwiseConv2DOptions", *_CONV), (2, 3), _is_depthwise, _both(lower_layers.depthwise)),
    "DEPTH_TO_SPACE": Kind(("DepthToSpaceOptions", "BlockSize"), (1, 1), _is_window, _MOVES),
    "DEQUANTIZE": Kind(("DequantizeOptions",), (1, 1), _one_for_one, _DEQUANTIZE),
    "DIV": Kind(("DivOptions", "FusedActivationFunction"), (2, 2), _any_shapes, _FLOAT_BINARY | _NUMBERS),
    "ELU": Kind(("NONE",), (1, 1), _one_for_one, _UNARY),
    "EQUAL": Kind(("EqualOptions",), (2, 2), _any_shapes, _ORDER | _LOGIC),
    "EXP": Kind(("ExpOptions",), (1, 1), _one_for_one, _FLOAT),
    "EXPAND_DIMS": Kind(("ExpandDimsOptions",), (2, 2), _one_for_one, _MOVES),
    "FILL": Kind(("FillOptions",), (2, 2), _any_shapes),
    "FLOOR": Kind(("NONE",), (1, 1), _one_for_one, _FLOAT),
    "FLOOR_DIV": Kind(("FloorDivOptions",), (2, 2), _any_shapes, _BROADCAST),
    "FLOOR_MOD": Kind(("FloorModOptions",), (2, 2), _any_shapes, _BROADCAST),
    "FULLY_CONNECTED": Kind(_DENSE, (2, 3), _is_product, _both(lower_layers.fully_connected)),
    "GATHER": Kind(("GatherOptions", "Axis", "BatchDims"), (2, 2), _any_shapes, _MOVES),
    "GELU": Kind(("GeluOptions", "Approximate"), (1, 1), _one_for_one, _FLOAT),
    "GREATER": Kind(("GreaterOptions",), (2, 2), _any_shapes, _ORDER),
    "GREATER_EQUAL": Kind(("GreaterEqualOptions",), (2, 2), _any_shapes, _ORDER),
    "HARD_SWISH": Kind(("HardSwishOptions",), (1, 1), _one_for_one, _UNARY),
    "L2_NORMALIZATION": Kind(
        ("L2NormOptions", "FusedActivationFunction"), (1, 1), _is_softmax, _both(lower_products.l2_normalization)
    ),
    "LEAKY_RELU": Kind(("LeakyReluOptions", "Alpha"), (1, 1), _one_for_one, _UNARY),
    "LESS": Kind(("LessOptions",), (2, 2), _any_shapes, _ORDER),
    "LESS_EQUAL": Kind(("LessEqualOptions",), (2, 2), _any_shapes, _ORDER),
    "LOG": Kind(("NONE",), (1, 1), _one_for_one, _FLOAT),
    "LOGICAL_AND": Kind(("LogicalAndOptions",), (2, 2), _any_shapes, _LOGIC),
    "LOGICAL_NOT": Kind(("LogicalNotOptions",), (1, 1), _one_for_one, _NOT),
    "LOGICAL_OR": Kind(("LogicalOrOptions",), (2, 2), _any_shapes, _LOGIC),
    "LOGISTIC": Kind(("NONE",), (1, 1), _one_for_one, _UNARY),
    "LOG_SOFTMAX": Kind(("LogSoftmaxOptions",), (1, 1), _is_softmax, _LOG_SOFTMAX),
    "MAXIMUM": Kind(("MaximumMinimumOptions",), (2, 2), _any_shapes, _both(lower_elementwise.binary) | _NUMBERS),
    "MAX_POOL_2D": Kind(_POOL, (1, 1), _is_pool, _both(lower_shape.pool)),
    "MEAN": Kind(("ReducerOptions",), (2, 2), _is_mean, _both(lower_shape.mean)),
    "MINIMUM": Kind(("MaximumMinimumOptions",), (2, 2), _any_shapes, _both(lower_elementwise.binary) | _NUMBERS),
    "MIRROR_PAD": Kind(("MirrorPadOptions", "Mode"), (2, 2), _is_padding, _MOVES),
    "MUL": Kind(("MulOptions", "FusedActivationFunction"), (2, 2), _any_shapes, _both(lower_values.binary) | _NUMBERS),
    "NEG": Kind(("NegOptions",), (1, 1), _one_for_one, _FLOAT),
    "NOT_EQUAL": Kind(("NotEqualOptions",), (2, 2), _any_shapes, _ORDER | _LOGIC),
    "PACK": Kind(("PackOptions", "Axis"), (1, _MANY), _is_packed, _any_type(lower_move.together), main=-1),
    "PAD": Kind(("PadOptions",), (2, 2), _is_padding, _both(lower_shape.pad)),
    "PADV2": Kind(("PadV2Options",), (3, 3), _is_padding, _both(lower_shape.pad)),
    "POW": Kind(("PowOptions",), (2, 2), _any_shapes, _BROADCAST),
    "PRELU": Kind(("NONE",), (2, 2), _any_shapes, _both(lower_elementwise.binary)),
    "QUANTIZE": Kind(("QuantizeOptions",), (1, 1), _one_for_one, _QUANTIZE),
    "RANGE": Kind(("RangeOptions",), (3, 3), _any_shapes),
    "RANK": Kind(("RankOptions",), (1, 1), _any_shapes),
    "READ_VARIABLE": Kind(("ReadVariableOptions",), (1, 1), _any_shapes, _any_type(lower_move.renamed)),
    "REDUCE_ALL": Kind(("ReducerOptions",), (2, 2), _is_mean, _ALL),
    "REDUCE_ANY": Kind(("ReducerOptions",), (2, 2), _is_mean, _ALL),
    "REDUCE_MAX": Kind(("ReducerOptions",), (2, 2), _is_mean, _both(lower_elementwise.reduction)),
    "REDUCE_MIN": Kind(("ReducerOptions",), (2, 2), _is_mean, _both(lower_elementwise.reduction)),
    "REDUCE_PROD": Kind(("ReducerOptions", "KeepDims"), (2, 2), _any_shapes),
    "RELU": Kind(("NONE",), (1, 1), _one_for_one, _UNARY),
    "RELU6": Kind(("NONE",), (1, 1), _one_for_one, _UNARY),
    "RELU_N1_TO_1": Kind(("NONE",), (1, 1), _one_for_one, _UNARY),
    "RESHAPE": Kind(("ReshapeOptions",), (1, 2), _one_for_one, _MOVES),
    "RESIZE_BILINEAR": Kind(
        ("ResizeBilinearOptions", "AlignCorners", "HalfPixelCenters"),
        (2, 2),
        _is_pool,
        _both(lower_shape.resize_bilinear),
    ),
    "RESIZE_NEAREST_NEIGHBOR": Kind(
        ("ResizeNearestNeighborOptions", "AlignCorners", "HalfPixelCenters"), (2, 2), _is_pool, _MOVES
    ),
    "REVERSE_V2": Kind(("ReverseV2Options",), (2, 2), _one_for_one, _MOVES),
    "ROUND": Kind(("NONE",), (1, 1), _one_for_one, _FLOAT),
    "RSQRT": Kind(("NONE",), (1, 1), _one_for_one, _FLOAT),
    "SELECT": Kind(("SelectOptions",), (3, 3), _any_shapes, _SELECT, main=-1),
    "SELECT_V2": Kind(("SelectV2Options",), (3, 3), _any_shapes, _SELECT, main=-1),
    "SHAPE": Kind(("ShapeOptions",), (1, 1), _any_shapes),
    "SIN": Kind(("NONE",), (1, 1), _one_for_one, _FLOAT),
    "SLICE": Kind(("SliceOptions",), (3, 3), _any_shapes, _MOVES),
    "SPACE_TO_BATCH_ND": Kind(("SpaceToBatchNDOptions",), (3, 3), _any_shapes, _BATCHES),
    "SOFTMAX": Kind(("SoftmaxOptions", "Beta"), (1, 1), _is_softmax, _SOFTMAX),
    "SPACE_TO_DEPTH": Kind(("SpaceToDepthOptions", "BlockSize"), (1, 1), _is_window, _MOVES),
    "SPLIT": Kind(("SplitOptions", "NumSplits"), (2, 2), _any_shapes, _MOVES, outputs=(1, _MANY), main=1),
    "SPLIT_V": Kind(("SplitVOptions", "NumSplits"), (3, 3), _any_shapes, _MOVES, outputs=(1, _MANY)),
    "SQRT": Kind(("NONE",), (1, 1), _one_for_one, _FLOAT),
    "SQUARE": Kind(("SquareOptions",), (1, 1), _one_for_one, _FLOAT),
    "SQUARED_DIFFERENCE": Kind(
        ("SquaredDifferenceOptions",), (2, 2), _any_shapes, _both(lower_broadcast.broadcast) | _NUMBERS
    ),
    "SQUEEZE": Kind(("SqueezeOptions",), (1, 1), _one_for_one, _MOVES),
    "STRIDED_SLICE": Kind(("StridedSliceOptions", *_SLICES, "Offset"), (4, 4), _any_shapes, _MOVES),
    "SUB": Kind(
        ("SubOptions", "FusedActivationFunction"), (2, 2), _any_shapes, _both(lower_elementwise.binary) | _NUMBERS
    ),
    "SUM": Kind(("ReducerOptions",), (2, 2), _is_mean, _both(lower_elementwise.reduction)),
    "SVDF": Kind(
        ("SVDFOptions", "Rank", "FusedActivationFunction"), (5, 5), _any_shapes, _both(lower_recurrent.svdf), needed=3
    ),
    "TANH": Kind(("NONE",), (1, 1), _one_for_one, _UNARY),
    "TILE": Kind(("TileOptions",), (2, 2), _any_shapes, _MOVES),
    "TRANSPOSE": Kind(("TransposeOptions",), (2, 2), _one_for_one, _MOVES),
    "TRANSPOSE_CONV": Kind(
        ("TransposeConvOptions", *_STRIDES, "FusedActivationFunction"),
        (3, 4),
        _is_convolution,
        _both(lower_layers.transposed),
        main=2,
    ),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": Kind(_LSTM, (24, 24), _any_shapes, _both(lower_recurrent.lstm), needed=9),
    "UNPACK": Kind(("UnpackOptions", "Axis"), (1, 1), _any_shapes, _MOVES, outputs=(1, _MANY)),
    "VAR_HANDLE": Kind(("VarHandleOptions", "Container", "SharedName"), (0, 0), _any_shapes),
    "WHILE": Kind(
        ("WhileOptions", "CondSubgraphIndex", "BodySubgraphIndex"), (1, _MANY), _any_shapes, outputs=(1, _MANY)
    ),
    "ZEROS_LIKE": Kind(("ZerosLikeOptions",), (1, 1), _one_for_one),
}


def _signal(lower: Lower, *types: str, options: tuple[str, ...] = (), inputs: int = 1, outputs: int = 1) -> Kind:
    """Return an operator of TFLite Micro's signal library."""
    table = dict.fromkeys(types, lower)
    return Kind((MAP, *options), (inputs, inputs), _any_shapes, table, outputs=(outputs, outputs))


_FFT = tuple(f"{dtype} to {dtype}" for dtype in ("int16", "int32", "float32"))
_FRAMES = "int16 to int16"
_SMOOTHING = ("smoothing", "one_minus_smoothing", "alternate_smoothing", "alternate_one_minus_smoothing")
_NOISE = (
    *_SMOOTHING,
    "clamping",
    "min_signal_remaining",
    "num_channels",
    "smoothing_bits",
    "spectral_subtraction_bits",
)
_STACKED = ("num_channels", "stacker_left_context", "stacker_right_context", "stacker_step")

_KINDS |= {
    "SignalDelay": _signal(lower_signal.delay, _FRAMES, options=("delay_length",)),
    "SignalEnergy": _signal(lower_signal.energy, "int16 to uint32", options=("end_index", "start_index")),
    "SignalFftAutoScale": _signal(lower_signal.auto_scale, _FRAMES, outputs=2),
    "SignalFilterBank": _signal(lower_signal.filter_bank, "uint32 to uint64", options=("num_channels",), inputs=6),
    "SignalFilterBankLog": _signal(
        lower_signal.logarithm, "uint32 to int16", options=("input_correction_bits", "output_scale")
    ),
    "SignalFilterBankSpectralSubtraction": _signal(
        lower_signal.spectral_subtraction, "uint32 to uint32", options=_NOISE, outputs=2
    ),
    "SignalFilterBankSquareRoot": _signal(lower_signal.square_root, "uint64 to uint32", inputs=2),
    "SignalFramer": _signal(lower_signal.framer, _FRAMES, options=("frame_size", "frame_step", "prefill"), outputs=2),
    "SignalIrfft": _signal(lower_signal.fft, *_FFT, options=("fft_length",)),
    "SignalOverlapAdd": _signal(lower_signal.overlap_add, _FRAMES, "float32 to float32", options=("frame_step",)),
    "SignalPCAN": _signal(lower_signal.pcan, "uint32 to uint32", options=("snr_shift",), inputs=3),
    "SignalRfft": _signal(lower_signal.fft, *_FFT, options=("fft_length",)),
    "SignalStacker": _signal(lower_signal.stacker, _FRAMES, options=_STACKED, outputs=2),
    "SignalWindow": _signal(lower_signal.window, _FRAMES, options=("shift",), inputs=2),
}

KINDS: Mapping[str, Kind] = {n: replace(kind, lower=of_any_width(n, kind.lower)) for n, kind in _KINDS.items()}

#: Functions of one value: what stands beside it doesn't matter.
UNARY = tuple(name for name, kind in _KINDS.items() if kind.lower in (_UNARY, _FLOAT))

#: Functions of two tensors, the first of which may be the constant.
PAIRS = (
    *("ADD", "DIV", "MAXIMUM", "MINIMUM", "MUL", "SUB"),
    *("EQUAL", "FLOOR_DIV", "FLOOR_MOD", "GREATER", "GREATER_EQUAL", "LESS", "LESS_EQUAL", "LOGICAL_AND", "LOGICAL_OR"),
    *("NOT_EQUAL", "POW", "PRELU", "SQUARED_DIFFERENCE"),
)
