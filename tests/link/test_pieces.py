"""An image that takes its input in pieces, on the virtual board, over good lines and bad ones, beside tflite-micro."""

from __future__ import annotations

import numpy as np
import pytest

from engine.oracles import Int8Oracle
from fakes.lines import NoisyLine
from harness.boards.opening import open_board
from harness.boards.start_image import start_image
from harness.errors import MeasurementError
from harness.image.elf import load_image
from harness.link.client import Link
from harness.link.timing import Timing

QUICK = Timing(boot=0.3, reply=0.3, inference=1.0, quiet=0.05, step=0.03)
NAME = "fashion_mnist_96_int8"


@pytest.fixture(scope="module")
def image(root):
    return load_image(root / "firmware" / "prebuilt" / "nano33" / f"{NAME}_patched_kept.elf")


@pytest.fixture(scope="module")
def inputs():
    draw = np.random.default_rng(3)
    ramp = np.sin(np.arange(96 * 96) * draw.uniform(0.01, 1, (2, 1)))
    return np.rint(127 * ramp).astype(np.int8).reshape(2, 1, 96, 96, 1)


@pytest.fixture(scope="module")
def board(nano33, image):
    with open_board(nano33, "virtual") as opened:
        start_image(opened, image, Link(opened.link(), "nano33"))
        yield opened


@pytest.mark.slow
@pytest.mark.parametrize("rate", [0, 2e-5])
def test_pieces_of_an_input_make_one_inference(board, image, inputs, root, rate):
    oracle = Int8Oracle(root / "firmware" / "models" / "fashion_mnist_96" / f"{NAME}.tflite")
    wanted = [oracle.run(values).tobytes() for values in inputs]
    stream = board.link()
    stream.drain()
    board.reset()
    link = Link(NoisyLine(stream, 11, flip=rate) if rate else stream, "nano33", QUICK)
    info = link.connect()
    assert info.whole_bytes == 96 * 96 > 10 * info.input_bytes
    assert len(info.pieces) == len(image.card.pieces) > 4
    found = list(link.infer_each(values.tobytes() for values in inputs))
    assert [result.output for result in found] == wanted
    layers = link.profile(inputs[0].tobytes())
    assert layers.output == wanted[0]
    assert len(layers.layers) == len(image.layers)
    assert abs(layers.total - found[0].ticks[0]) < 4 * len(info.pieces)
    assert (link.counters.retransmissions > 0) == (rate > 0)
    with pytest.raises(MeasurementError, match="9215 bytes for a model that takes 9216"):
        link.infer(bytes(9215))
