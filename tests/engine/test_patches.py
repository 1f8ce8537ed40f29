"""Models whose first layers run in patches compute, bit for bit, what the whole ones do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engine.oracles import random_inputs
from engine.targets import CortexModel, HostModel
from harness.build import parse_tflite, plan_memory
from harness.build.lower import lower
from harness.build.patch import Patches, longest_stage
from harness.build.plan import choose_patches
from harness.build.sizes import layer_sizes
from harness.errors import ConfigError

ROOT = Path(__file__).parents[2]
DATA = ROOT / "tests" / "engine" / "data"
CHAINS = ["chain00_int8", "chain02_int8", "chain02_float32", "chain04_int8", "chain06_int8", "chain07_float32"]
FASHION = ROOT / "firmware" / "models" / "fashion_mnist" / "fashion_mnist_int8.tflite"


def chain(stem):
    return parse_tflite(DATA / f"{stem}.tflite")


def ways_to_cut(graph):
    """From few patches to one for each output pixel, through every possible number of layers."""
    program = lower(graph)
    for layers in range(1, longest_stage(graph, program) + 1):
        last = program.steps[layers - 1].window
        rows, columns = last.out_h, last.out_w
        yield from (
            Patches(r, c, layers) for r, c in {(min(2, rows), 1), (min(3, rows), min(2, columns)), (rows, columns)}
        )
        yield Patches(rows, 1, layers, cached=True)


def assert_equal(whole, patched, graph, what):
    for values in random_inputs(graph, 2, seed=3):
        np.testing.assert_array_equal(patched(values), whole(values), err_msg=str(what))


@pytest.mark.parametrize(
    "stem",
    [
        pytest.param(stem, marks=[] if stem in ("chain06_int8", "chain07_float32") else [pytest.mark.slow])
        for stem in CHAINS
    ],
)
def test_outputs_are_those_of_the_whole_model(stem, host_kernels, tmp_path):
    graph = chain(stem)
    whole = HostModel(graph, tmp_path / "whole", host_kernels)
    tried = 0
    for number, patches in enumerate(ways_to_cut(graph)):
        try:
            patched = HostModel(graph, tmp_path / str(number), host_kernels, patches=patches)
        except ConfigError as refused:
            assert "multiple of 4 bytes" in str(refused)  # noqa: PT017 (the others must build)
            continue
        assert_equal(whole, patched, graph, patches)
        tried += not patches.cached
    assert tried >= 3


@pytest.mark.slow
@pytest.mark.parametrize("plain", [False, True], ids=["fast", "plain"])
@pytest.mark.parametrize("patches", [Patches(3, 3, 4), Patches(7, 1, 4, cached=True), Patches(7, 7, 7)], ids=str)
def test_outputs_are_those_of_the_whole_model_on_a_cortex_m4(patches, plain, cortex_kernels, tmp_path):
    graph = parse_tflite(FASHION)
    whole = CortexModel(graph, tmp_path / "whole", cortex_kernels)
    patched = CortexModel(graph, tmp_path / "patched", cortex_kernels, plain=plain, patches=patches)
    assert_equal(whole, patched, graph, patches)


def test_one_patch_is_the_whole_model():
    graph = chain("chain02_int8")
    whole, one = plan_memory(graph), plan_memory(graph, Patches(1, 1, 2))
    assert (one.arena_bytes, one.macs, len(one.steps)) == (whole.arena_bytes, whole.macs, len(whole.steps))


def test_overlap_that_is_kept_costs_no_computation():
    graph = parse_tflite(FASHION)
    whole = plan_memory(graph)
    kept, repeated = (plan_memory(graph, Patches(7, 1, 4, cached=cached)) for cached in (True, False))
    assert kept.macs == whole.macs
    assert repeated.macs > 1.2 * whole.macs


def test_patches_take_no_more_constants_than_weights_once():
    graph = parse_tflite(FASHION)
    whole, cut = (plan_memory(graph, patches) for patches in (None, Patches(3, 3, 4)))
    flash = [sum(layer.flash_bytes for layer in layer_sizes(graph, plan)) for plan in (whole, cut)]
    assert flash[0] == flash[1] > 10_000
    assert whole.parameters == cut.parameters


@pytest.mark.parametrize("cached", [False, True])
def test_the_chosen_patches_have_the_smallest_arena_of_all(cached):
    graph = chain("chain02_float32")
    chosen = choose_patches(graph, cached=cached)
    others = [Patches(rows, 1, layers, cached) for rows in (2, 3, 5) for layers in (1, 2, 3)]
    arenas = [plan_memory(graph, patches).arena_bytes for patches in others]
    best = plan_memory(graph, chosen).arena_bytes
    assert best < plan_memory(graph).arena_bytes
    assert best <= 1.01 * min(arenas)


def test_none_are_chosen_where_they_do_not_help():
    assert choose_patches(chain("chain01_int8")) is None


@pytest.mark.parametrize(
    ("patches", "message"),
    [
        (Patches(2, 2, 8), "8 layers can't be patched; .* has 7"),
        (Patches(2, 2, 0), "0 layers can't be patched"),
        (Patches(8, 2, 7), "8 x 2 patches are too many for an image of 7 x 7 after 7 layers"),
        (Patches(0, 2, 7), "0 x 2 patches"),
        (Patches(2, 2, 4, cached=True), "one column of patches, not 2"),
    ],
)
def test_what_cannot_be_cut_is_refused(patches, message):
    with pytest.raises(ConfigError, match=f"fashion_mnist_int8.tflite: .*{message}"):
        plan_memory(parse_tflite(FASHION), patches)
