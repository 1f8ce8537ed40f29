"""Models whose first layers run in patches compute, bit for bit, what the whole ones do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engine.oracles import oracle_of, random_inputs
from engine.random_models import residual_model
from engine.targets import CortexModel, HostModel
from harness.build import parse_tflite, plan_memory
from harness.build.choose_patches import choose_patches, ram_bytes
from harness.build.lower import lower
from harness.build.sizes import layer_sizes
from harness.build.stage import Patches, stage_ends
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
    for layers in stage_ends(graph, program):
        _, rows, columns, _ = program.steps[layers - 1].output.shape
        yield Patches(min(3, rows), min(2, columns), layers, streamed=True)
        yield Patches(rows, columns, layers)
        yield Patches(rows, 1, layers, cached=True, streamed=True)
    yield Patches(program.steps[0].output.shape[1], 1, layers, cached=True)


def assert_equal(whole, patched, graph, what):
    for values in random_inputs(graph, 2, seed=3):
        np.testing.assert_array_equal(patched(values), whole(values), err_msg=str(what))


@pytest.mark.slow
@pytest.mark.parametrize("stem", CHAINS)
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
    assert tried >= 2


@pytest.mark.parametrize("cached", [False, True])
def test_images_may_branch_and_be_summed_again(cached, host_kernels, tmp_path):
    for seed in range(2):
        path = tmp_path / f"{cached}{seed}.tflite"
        path.write_bytes(residual_model(seed))
        graph = parse_tflite(path)
        ends = stage_ends(graph, lower(graph))
        assert ends[-1] == len(graph.operators) > ends[0]
        oracle = oracle_of(graph, path)
        height = graph.output.shape[1]
        for layers in {ends[-1], ends[len(ends) // 2]}:
            rows = height if cached else 2
            patches = Patches(rows, 1 if cached else 2, layers, cached, streamed=bool(seed % 2))
            patched = HostModel(graph, tmp_path / f"{cached}{seed}{layers}", host_kernels, patches=patches)
            for values in random_inputs(graph, 2, seed):
                np.testing.assert_array_equal(patched(values), oracle.run(values), err_msg=f"{seed}: {patches}")


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
    assert (one.macs, len(one.steps)) == (whole.macs, len(whole.steps))
    assert (one.input_bytes, whole.input_bytes) == (graph.input.bytes, 0)  # read where it arrives
    assert one.arena_bytes <= whole.arena_bytes


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
def test_the_chosen_patches_take_the_least_ram_of_all(cached):
    graph = chain("chain02_float32")
    chosen = choose_patches(graph, cached=cached)
    others = [Patches(rows, 1, layers, cached) for rows in (2, 3, 4) for layers in (1, 2, 3)]
    sizes = [ram_bytes(graph, plan_memory(graph, patches)) for patches in others]
    best = ram_bytes(graph, plan_memory(graph, chosen))
    assert best < ram_bytes(graph, plan_memory(graph))
    assert best <= 1.01 * min(sizes)


def test_patches_are_chosen_under_a_limit_of_macs():
    graph = chain("chain02_int8")
    whole = plan_memory(graph)
    free, limited = (
        plan_memory(graph, choose_patches(graph, streamed=True, most_overhead=limit)) for limit in (None, 0.01)
    )
    assert free.macs > 1.01 * whole.macs >= limited.macs
    assert ram_bytes(graph, free) < ram_bytes(graph, limited) < ram_bytes(graph, whole)


def test_what_arrives_in_parts_takes_the_largest_part_and_no_place_in_the_arena():
    graph = parse_tflite(FASHION)
    at_once, parts = (
        plan_memory(graph, Patches(7, 1, 4, cached=True, streamed=streamed)) for streamed in (False, True)
    )
    assert at_once.arena_bytes == parts.arena_bytes
    assert at_once.input_bytes == 28 * 28 > 3 * parts.input_bytes
    ends = [piece.start + piece.bytes for piece in parts.pieces]
    assert ends == sorted(ends)
    assert ends[-1] == 28 * 28


def test_none_are_chosen_where_they_do_not_help():
    assert choose_patches(chain("chain01_int8"), grid=(99, 1)) is None


@pytest.mark.parametrize(
    ("patches", "message"),
    [
        (Patches(2, 2, 8), "first 8 layers can't be patched; .* behind layer 1, 2, 3, 4, 5, 6, 7 of it"),
        (Patches(2, 2, 0), "first 0 layers can't be patched"),
        (Patches(8, 2, 7), "8 x 2 patches are too many for an image of 7 x 7 after 7 layers"),
        (Patches(0, 2, 7), "0 x 2 patches"),
        (Patches(2, 2, 4, cached=True), "one column of patches, not 2"),
    ],
)
def test_what_cannot_be_cut_is_refused(patches, message):
    with pytest.raises(ConfigError, match=f"fashion_mnist_int8.tflite: .*{message}"):
        plan_memory(parse_tflite(FASHION), patches)
