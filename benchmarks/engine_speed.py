"""Print what the engine's kernels cost, beside TFLite Micro's, in instructions counted by the virtual board.

    python benchmarks/engine_speed.py [--mlperf DIR] [--only NAME]

Ours are measured here: each model or layer is compiled into an image, flashed onto the virtual board, and run. The
figures of TFLite Micro are references measured once on an emulated Cortex-M4 (gcc 12.2 -O2, instructions of one
Invoke, outputs equal to ours). The models of MLPerf Tiny are not part of this project: get `kws_ref_model.tflite` and
`ad01_int8.tflite` from https://github.com/mlcommons/tiny (benchmark/training/*/trained_models).
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.boards.opening import open_board
from harness.boards.start_image import start_image
from harness.build import Graph, parse_tflite, plan_memory
from harness.build.graph import Operator, Quantization, Tensor
from harness.build.making import Making, make_model_image
from harness.build.sources import target_for
from harness.build.toolchain import find_toolchain
from harness.config import Lab
from harness.link.client import Link
from harness.measure.memory import measure_peak_ram

if TYPE_CHECKING:
    from harness.boards.base import Board

ROOT = Path(__file__).parent.parent
TFLM_STACK_BYTES = 1_244


@dataclass(frozen=True)
class Reference:
    """TFLite Micro's figures, in the row's unit, with CMSIS-NN and without, and its arena (its head: tensors alone)."""

    cmsis: float | None = None
    plain: float | None = None
    arena_bytes: int | None = None


@dataclass(frozen=True)
class Layer:
    """A single-layer model.

    Attributes:
        name: of the row.
        kind: TFLite's name of the operator.
        shape: of the input.
        channels: of the output.
        kernel: height and width of a window; 0 for none.
        stride: of the window.
        target: the most instructions per MAC (or per element) that we allow ourselves.
        cmsis: what TFLite Micro takes with CMSIS-NN, where it was measured.
        activations: their type; int16 is 16x8.
        weights: their type.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    channels: int
    kernel: int
    stride: int
    target: float
    cmsis: float | None
    activations: str = "int8"
    weights: str = "int8"


LAYERS = (
    Layer("1x1 64->64", "CONV_2D", (1, 25, 5, 64), 64, 1, 1, 2.09, 2.09),
    Layer("3x3 32->32", "CONV_2D", (1, 16, 16, 32), 32, 3, 1, 1.93, 1.93),
    Layer("3x3 16->32", "CONV_2D", (1, 32, 32, 16), 32, 3, 2, 2.14, 2.14),
    Layer("depthwise 3x3 64", "DEPTHWISE_CONV_2D", (1, 25, 5, 64), 64, 3, 1, 6.0, 7.8),
    Layer("fully connected 640->128", "FULLY_CONNECTED", (1, 640), 128, 0, 1, 1.95, 1.95),
    Layer("add 32x32x16", "ADD", (1, 32, 32, 16), 16, 0, 1, 10.0, 80.0),
    Layer("multiply 32x32x16", "MUL", (1, 32, 32, 16), 16, 0, 1, 15.0, None),
    Layer("16x8, 1x1 64->64", "CONV_2D", (1, 25, 5, 64), 64, 1, 1, 1.65, None, "int16"),
    Layer("16x8, 3x3 32->32", "CONV_2D", (1, 16, 16, 32), 32, 3, 1, 1.45, None, "int16"),
    Layer("16x8, depthwise 3x3 64", "DEPTHWISE_CONV_2D", (1, 25, 5, 64), 64, 3, 1, 8.0, None, "int16"),
    Layer("16x8, fully connected", "FULLY_CONNECTED", (1, 640), 128, 0, 1, 1.75, None, "int16"),
    Layer("int4, 1x1 64->64", "CONV_2D", (1, 25, 5, 64), 64, 1, 1, 1.95, None, weights="int4"),
    Layer("int4, 3x3 32->32", "CONV_2D", (1, 16, 16, 32), 32, 3, 1, 1.65, None, weights="int4"),
    Layer("int4, fully connected", "FULLY_CONNECTED", (1, 640), 128, 0, 1, 2.4, None, weights="int4"),
)
#: Operators of two inputs.
PAIRS = ("ADD", "MUL")
MODELS = {
    "KWS": ("kws_ref_model.tflite", Reference(7.698, 43.1, 16_000)),
    "AD": ("ad01_int8.tflite", Reference(0.583, 1.954, 768)),
}


@dataclass(frozen=True)
class Cost:
    """Instructions of one inference, and its memory; the stack includes the agent's."""

    instructions: int
    arena_bytes: int
    stack_bytes: int


@dataclass(frozen=True)
class Row:
    """One line of the table; `unit` is what instructions are divided by."""

    name: str
    unit: str
    per: float
    fast: Cost
    plain: Cost
    reference: Reference
    target: float | None


def layer_graph(layer: Layer) -> Graph:
    """Return a graph of one integer layer with random weights."""
    wide = layer.activations == "int16"
    rng = np.random.default_rng(1)
    out: tuple[int, ...] = (1, layer.channels)
    if layer.kernel:
        out = (1, *(-(-size // layer.stride) for size in layer.shape[1:3]), layer.channels)
    elif layer.kind in PAIRS:
        out = layer.shape
    options: dict[str, float] = {"Padding": 0, "StrideH": layer.stride, "StrideW": layer.stride}
    shapes = {
        "CONV_2D": (layer.channels, layer.kernel, layer.kernel, layer.shape[-1]),
        "DEPTHWISE_CONV_2D": (1, layer.kernel, layer.kernel, layer.channels),
        "FULLY_CONNECTED": (layer.channels, layer.shape[-1]),
    }
    tensors = [_tensor(0, layer.shape, layer.activations, 0.0517, zero=0 if wide else -3)]
    if layer.kind in PAIRS:
        # Both inputs are computed: one is the other in another scale, and its cost is taken off again.
        tensors += [_tensor(1, layer.shape, "int8", 0.0713), _tensor(2, out, "int8", 0.0829, zero=5)]
        operators = (Operator(0, "QUANTIZE", (0,), (1,), {}), Operator(1, layer.kind, (0, 1), (2,), {}))
        return Graph(layer.name, "0" * 64, tuple(tensors), operators, (tensors[0],), (tensors[2],))
    most = 7 if layer.weights == "int4" else 127
    weights = rng.integers(-most, most + 1, shapes[layer.kind]).astype(np.int8)
    bias = rng.integers(-1000, 1000, layer.channels).astype(np.int64 if wide else np.int32)
    tensors += [
        _tensor(1, weights.shape, layer.weights, 0.01, data=weights),
        _tensor(2, bias.shape, bias.dtype.name, 0.0005, data=bias),
        _tensor(3, out, layer.activations, 0.8, zero=0 if wide else 5),
    ]
    operator = Operator(0, layer.kind, (0, 1, 2), (3,), options)
    return Graph(layer.name, "0" * 64, tuple(tensors), (operator,), (tensors[0],), (tensors[3],))


def _tensor(
    index: int,
    shape: tuple[int, ...],
    dtype: str,
    scale: float,
    *,
    zero: int = 0,
    data: np.ndarray[Any, Any] | None = None,
) -> Tensor:
    return Tensor(index, f"t{index}", shape, dtype, Quantization((scale,), (zero,), 0), data)


class Bench:
    """Compiles and runs graphs on one virtual board."""

    def __init__(self, board: Board, folder: Path) -> None:
        kinds = Lab.load(None).kinds
        self._board = board
        self._folder = folder
        self._target = target_for(board.kind, kinds, ROOT / "firmware")
        self._toolchain = find_toolchain()

    @property
    def compiler(self) -> str:
        """Version of the compiler."""
        return self._toolchain.version

    def cost(self, graph: Graph, *, plain: bool) -> Cost:
        """Run one inference of random input."""
        making = Making(self._target, self._toolchain, plain=plain, kept=self._folder / f"kept{plain}")
        made = make_model_image(graph, plan_memory(graph), making, self._folder / "image.elf", "layer")
        link = Link(self._board.link(), self._board.name)
        start_image(self._board, made.image, link)
        limits = np.iinfo(graph.input.dtype)
        values = np.random.default_rng(2).integers(limits.min, limits.max + 1, graph.input.elements, limits.dtype)
        link.infer(values.tobytes())
        ticks = link.infer(values.tobytes()).ticks[0]
        return Cost(ticks, made.image.card.arena_bytes, measure_peak_ram(self._board, made.image).stack_bytes)

    def layer(self, layer: Layer) -> Row:
        """Measure a single layer, per MAC or per element."""
        graph = layer_graph(layer)
        plan = plan_memory(graph)
        fast, plain = (self.cost(graph, plain=plain) for plain in (False, True))
        if layer.kind in PAIRS:
            first = replace(graph, operators=graph.operators[:1], outputs=(graph.tensors[1],))
            fast, plain = (_less(cost, self.cost(first, plain=p)) for cost, p in ((fast, False), (plain, True)))
            return Row(layer.name, "element", graph.output.elements, fast, plain, Reference(layer.cmsis), layer.target)
        return Row(layer.name, "MAC", plan.macs, fast, plain, Reference(layer.cmsis), layer.target)

    def model(self, name: str, path: Path) -> Row:
        """Measure a whole model, in millions of instructions."""
        graph = parse_tflite(path)
        fast, plain = (self.cost(graph, plain=plain) for plain in (False, True))
        reference = MODELS[name][1]
        return Row(name, "million", 1e6, fast, plain, reference, reference.cmsis)


def _less(cost: Cost, other: Cost) -> Cost:
    return Cost(cost.instructions - other.instructions, cost.arena_bytes, cost.stack_bytes)


def line(row: Row) -> str:
    """Return a row as text."""
    reference = row.reference
    cmsis, plain = ("not measured" if value is None else f"{value:.2f}" for value in (reference.cmsis, reference.plain))
    arena = "" if reference.arena_bytes is None else f"{reference.arena_bytes:,}"
    ours = f"{row.fast.instructions / row.per:>8.2f} {row.plain.instructions / row.per:>8.2f}"
    return (
        f"{row.name:<26} {row.unit:<8} {ours} "
        f"{cmsis:>13} {plain:>13} {row.fast.arena_bytes:>9,} {arena:>9} {row.fast.stack_bytes:>7,}"
    )


def main() -> int:
    """Measure, and print the table; 1 if a row is slower than its target."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--mlperf", type=Path, help="folder with the models of MLPerf Tiny")
    parser.add_argument("--only", help="rows whose name contains this")
    options = parser.parse_args()
    device = Lab.load(None).select(["nano33"])[0]
    slow = []
    with tempfile.TemporaryDirectory() as folder, open_board(device, "virtual") as board:
        bench = Bench(board, Path(folder))
        print(
            f"Instructions, not cycles. Ours: {bench.compiler}, -O2. TFLite Micro: gcc 12.2, -O2, measured elsewhere."
        )
        print(
            f"{'':<26} {'per':<8} {'ours':>8} {'plain C':>8} {'CMSIS-NN':>13} {'TFLM plain C':>13} {'arena':>9} "
            f"{'TFLM head':>9} {'stack':>7}"
        )
        for name, (file, _) in MODELS.items():
            if options.only and options.only not in name:
                continue
            if options.mlperf is None:
                print(f"{name:<26} give --mlperf DIR with {file} (from mlcommons/tiny)")
                continue
            slow += _show(bench.model(name, options.mlperf / file))
        for layer in LAYERS:
            if not options.only or options.only in layer.name:
                slow += _show(bench.layer(layer))
    for name in slow:
        print(f"SLOWER than its target: {name}")
    return 1 if slow else 0


def _show(row: Row) -> list[str]:
    print(line(row), flush=True)
    return [row.name] if row.target is not None and row.fast.instructions / row.per > row.target else []


if __name__ == "__main__":
    sys.exit(main())
