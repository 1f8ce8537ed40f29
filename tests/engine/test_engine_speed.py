"""The kernels are as fast as the documents say, in instructions on the virtual board."""

from __future__ import annotations

import shutil

import pytest

from engine_speed import LAYERS, TFLM_STACK_BYTES, Bench
from harness.boards.opening import open_board


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return where the kernels are kept once they are compiled: only the layer itself differs."""
    return tmp_path_factory.mktemp("speed")


@pytest.mark.slow
@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.name)
def test_a_layer_keeps_its_target(layer, nano33, folder):
    if shutil.which("arm-none-eabi-gcc") is None:
        pytest.skip("arm-none-eabi-gcc isn't installed")
    with open_board(nano33, "virtual") as board:
        row = Bench(board, folder).layer(layer)
    assert 0.9 < row.fast.instructions / row.per <= layer.target
    assert layer.cmsis is None or layer.target <= layer.cmsis
    assert row.plain.instructions > 3 * row.fast.instructions
    assert row.fast.stack_bytes < TFLM_STACK_BYTES
