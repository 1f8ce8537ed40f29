"""The board computes what the reference interpreters compute."""

from __future__ import annotations

import pytest

from harness.boards.opening import open_board
from oracle import compare


@pytest.mark.slow
@pytest.mark.parametrize("name", ["float32", "int8"])
def test_200_images_agree_with_the_reference_interpreter(suite, nano33, name):
    pytest.importorskip("tflite_micro" if name == "int8" else "ai_edge_litert", reason="the oracle isn't installed")
    with open_board(nano33, "virtual") as board:
        agreement = compare(board, suite, suite.variant(name), 200)
    assert agreement.samples == 200
    assert agreement.holds, agreement
