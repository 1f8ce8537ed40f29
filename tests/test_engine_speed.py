"""The kernels are as fast as the documents say, in instructions on the virtual board."""

from __future__ import annotations

import shutil

import pytest

from engine_speed import LAYERS, TFLM_STACK_BYTES, Bench
from harness.boards.opening import open_board


@pytest.mark.slow
@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.name)
def test_a_layer_keeps_its_target(layer, nano33, tmp_path):
    if shutil.which("arm-none-eabi-gcc") is None:
        pytest.skip("arm-none-eabi-gcc isn't installed")
    with open_board(nano33, "virtual") as board:
        row = Bench(board, tmp_path).layer(layer)
    assert 0.9 < row.fast.instructions / row.per <= layer.target
    assert layer.cmsis is None or layer.target <= layer.cmsis
    assert row.plain.instructions > 3 * row.fast.instructions
    assert row.fast.stack_bytes < TFLM_STACK_BYTES
