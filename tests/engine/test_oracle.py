"""The board computes what the reference interpreters compute."""

from __future__ import annotations

import pytest

from harness.boards.opening import open_board
from harness.config import load_suite
from oracle import ROOT, compare_variant, holds, words

SUITES = [load_suite(path) for path in sorted((ROOT / "suites").glob("*.yaml"))]
CASES = [(suite, variant) for suite in SUITES for variant in suite.variants]


@pytest.mark.slow
@pytest.mark.parametrize(("suite", "variant"), CASES, ids=[f"{suite.task}-{variant.name}" for suite, variant in CASES])
def test_every_variant_agrees_with_the_reference_interpreter(suite, variant, nano33):
    pytest.importorskip("tflite_micro", reason="the oracle isn't installed")
    pytest.importorskip("ai_edge_litert", reason="the oracle isn't installed")
    with open_board(nano33, "virtual") as board:
        agreement = compare_variant(board, suite, variant, 20)
    assert agreement.inputs >= 20  # recordings are taken whole, and of sequences each step counts
    assert holds(agreement), words(agreement)
