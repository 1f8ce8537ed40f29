"""Profiles by layer on the virtual board: what is measured, and what is refused."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest

from fakes.lines import OlderAgent
from harness.boards.opening import open_board
from harness.boards.start_image import start_image
from harness.boards.virtual.core import native
from harness.build import parse_tflite, plan_memory
from harness.build.making import Making, make_model_image
from harness.build.sources import target_for
from harness.build.stage import Patches
from harness.build.toolchain import find_toolchain
from harness.errors import ConfigError, ImageError, MeasurementError
from harness.image.elf import load_image
from harness.link.client import Link
from harness.link.timing import Timing
from harness.measure.estimated_cycles import estimator_of
from harness.profile.content import functions_content, layers_content
from harness.profile.functions import profile_functions
from harness.profile.inputs import random_input
from harness.profile.layers import profile_image, profile_layers


@pytest.fixture(scope="module")
def image(prebuilt):
    return load_image(prebuilt / "fashion_mnist_float32.elf")


@pytest.fixture(scope="module")
def data(image):
    return random_input(image.card.input).data


@pytest.fixture(scope="module")
def board(nano33):
    with open_board(nano33, "virtual") as opened:
        yield opened


@pytest.fixture
def link(board, image):
    board.flash(image)
    stream = board.link()
    stream.drain()
    board.reset()
    connected = Link(stream, board.name)
    connected.connect()
    return connected


def test_layers_and_rest_are_the_whole(board, image, data):
    profile = profile_image(board, image, data)
    assert profile.counter == "instructions"
    assert [row.spec for row in profile.layers] == list(image.layers)
    assert [row.layer for row in profile.layers] == list(range(10))
    assert sum(row.ticks for row in profile.layers) + profile.rest == profile.total
    assert sum(row.share for row in profile.layers) == pytest.approx(1 - profile.rest / profile.total)
    assert abs(profile.total - profile.inference) <= 16
    assert profile.layers[2].ticks_per_mac == profile.layers[2].ticks / 451_584
    assert profile.layers[9].ticks_per_mac is None


@pytest.mark.slow
@pytest.mark.usefixtures("patient")
def test_a_board_that_runs_the_image_is_not_flashed(board, image, data):
    first = profile_image(board, image, data)
    board.notes.clear()
    assert profile_image(board, image, data) == first
    assert board.notes == ["flashing fashion_mnist_float32.elf skipped: its flash was read and is equal"]


def test_an_image_that_lists_other_layers_than_it_has(link, image, data):
    wrong = replace(image, layers=image.layers[:-1])
    with pytest.raises(MeasurementError, match=r"float32\.elf: the board reports 10 layers, but the image lists 9"):
        profile_layers(link, wrong, data, "instructions")


def test_an_image_that_lists_no_layers(link, image, data):
    profile = profile_layers(link, replace(image, layers=None), data, "cycles")
    assert len(profile.layers) == 10
    assert {row.spec for row in profile.layers} == {row.ticks_per_mac for row in profile.layers} == {None}
    assert profile.counter == "cycles"


def test_a_profiled_inference_that_gives_another_output(nano33, root):
    image = load_image(root / "tests" / "images" / "wrong.elf")
    with (
        open_board(nano33, "virtual") as board,
        pytest.raises(MeasurementError, match=r"wrong\.elf: .* gave another output .*hil_model_profile\(\) doesn't do"),
    ):
        profile_image(board, image, bytes(784))


@pytest.mark.slow
def test_an_image_whose_agent_is_too_old(board, link, image, data):
    link = Link(OlderAgent(board.link()), board.name)
    link.connect(after_reset=False)
    with pytest.raises(ImageError, match=r"float32\.elf: too old to be profiled: .* Build it again"):
        profile_layers(link, image, data, "instructions")


@pytest.fixture
def patched_image(root, nano33, tmp_path, kept_objects):
    """An image whose first three layers run in nine patches, which are copied out of the input."""
    if shutil.which("arm-none-eabi-gcc") is None:
        pytest.skip("arm-none-eabi-gcc isn't installed")
    graph = parse_tflite(root / "firmware" / "models" / "fashion_mnist" / "fashion_mnist_int8.tflite")
    plan = plan_memory(graph, Patches(rows=3, columns=3, layers=3))
    target = target_for(nano33.kind, [nano33.kind], root / "firmware")
    making = Making(target, find_toolchain("arm-none-eabi-"), kept=kept_objects)
    return make_model_image(graph, plan, making, tmp_path / "patched.elf", "patched").image


@pytest.mark.slow
def test_the_patches_of_a_layer_are_one_layer(board, patched_image, prebuilt):
    whole = load_image(prebuilt / "fashion_mnist_int8.elf")
    data = random_input(whole.card.input).data
    patched, ordinary = profile_image(board, patched_image, data), profile_image(board, whole, data)
    assert abs(patched.total - patched.inference) <= 16
    said = "layers that run in several pieces, like patches, can't be told from others"
    assert (patched.estimates, patched.why_no_estimates) == (None, said)
    assert [row.spec.kernel for row in patched.layers] == [row.spec.kernel for row in ordinary.layers]
    assert [row.spec.output for row in patched.layers] == [row.spec.output for row in ordinary.layers]
    for one, other in zip(patched.layers[:3], ordinary.layers[:3], strict=True):
        # The first two repeat what overlaps.
        assert one.ticks > other.ticks
        assert one.spec.macs > other.spec.macs or one.layer > 0
        assert one.spec.parameters == other.spec.parameters
    for one, other in zip(patched.layers[3:], ordinary.layers[3:], strict=True):
        assert abs(one.ticks - other.ticks) <= 4
        assert one.spec == other.spec
    assert sum(row.spec.macs for row in patched.layers) == patched_image.card.macs > whole.card.macs


def test_without_an_estimate_the_counts_stay_and_it_says_why(board, prebuilt, monkeypatch):
    image = load_image(prebuilt / "japanese_vowels_int8.elf")
    data = random_input(image.card.input).data
    monkeypatch.setattr("harness.measure.estimated_cycles._TRACE_ENTRIES", 1000)
    said = "an inference is too long for a simulation of the caches"
    found = profile_image(board, image, data)
    assert (found.estimates, found.worth, found.why_no_estimates) == (None, None, said)
    assert sum(row.ticks for row in found.layers) + found.rest == found.total
    assert layers_content(found)["estimated_cycles_reason"] == said
    functions = profile_functions(board, image, data)
    assert (functions.worth, functions.why_no_estimates) == (None, said)
    assert sum(row.instructions for row in functions.functions) == pytest.approx(functions.counter, rel=0.01)
    assert not any("estimated" in name for row in functions_content(functions)["functions"] for name in row)


def test_an_estimate_is_the_same_where_nothing_counts_in_machine_code(nano33, prebuilt, monkeypatch):
    image = load_image(prebuilt / "meat_fat_int8.elf")
    data = random_input(image.card.input).data
    found = []
    for stubs in (native.stubs_for_this_host, lambda: None):  # as on a computer that there are none for
        monkeypatch.setattr(native, "stubs_for_this_host", stubs)
        with open_board(nano33, "virtual") as board:
            found.append(layers_content(profile_image(board, image, data)))
    assert found[0] == found[1]
    assert all(row["estimated_cycles"] > row["instructions"] for row in found[0]["layers"])


def test_only_the_virtual_board_counts_by_function(image, data):
    class Real:
        name = "desk"

    with pytest.raises(ConfigError, match="desk: only the virtual board can count by function"):
        profile_functions(Real(), image, data)


def test_estimates_of_layers_and_of_functions_add_up_to_that_of_the_inference(board, prebuilt):
    image = load_image(prebuilt / "fashion_mnist_int8.elf")
    data = bytes(range(256)) * 3 + bytes(16)
    estimator = estimator_of(board)
    estimator.begin()
    link = Link(board.link(), board.name, Timing(baud=board.kind.baud))
    info = start_image(board, image, link, force=True)
    inference = estimator.first_inference(lambda: link.infer(data), info.counter_overhead)
    inference = link.infer(data)
    whole = estimator.estimate(list(estimator.marks.inferences(inference.ticks, info.counter_overhead)))
    layers = profile_image(board, image, data)
    assert len(layers.estimates) == len(layers.layers) + 1
    for row, estimate in zip(layers.layers, layers.estimates, strict=False):
        assert estimate.instructions == row.ticks
        assert 1.2 < estimate.cycles / row.ticks < 2.5
    assert sum(estimate.cycles for estimate in layers.estimates) == pytest.approx(whole.cycles[0], rel=5e-4)
    functions = profile_functions(board, image, data)
    added = sum(row.estimate.cycles for row in functions.functions) - whole.cycles[0]
    assert 0 < added < 0.01 * whole.cycles[0]  # the agent's copying of the input is in it
