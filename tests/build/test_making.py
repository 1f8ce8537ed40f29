"""Images are the same bytes wherever they are made, and what doesn't fit is said in our words."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from harness.boards.opening import open_board
from harness.boards.start_image import start_image
from harness.build import parse_tflite, plan_memory
from harness.build.graph import Graph, Operator, Quantization, Tensor
from harness.build.making import Making, make_model_image
from harness.build.sizes import MAX_OUTPUT_BYTES
from harness.build.sources import firmware_units, target_for
from harness.errors import ConfigError
from harness.link.client import Link
from harness.link.timing import Timing
from harness.measure.memory import measure_peak_ram

ROOT = Path(__file__).parents[2]
MODEL = ROOT / "firmware/models/fashion_mnist/fashion_mnist_int8.tflite"


@pytest.fixture
def making(toolchain, nano33, kept_objects):
    return Making(target_for(nano33.kind, [nano33.kind], ROOT / "firmware"), toolchain, kept=kept_objects)


def make(graph, making, out):
    return make_model_image(graph, plan_memory(graph), making, out, "fashion_mnist_int8")


@pytest.mark.slow
def test_the_image_is_the_same_from_another_folder_and_with_kept_objects(
    making, toolchain, nano33, tmp_path, monkeypatch
):
    graph = parse_tflite(MODEL)
    here = make(graph, replace(making, kept=None), tmp_path / "a.elf")
    copy = tmp_path / "installed elsewhere" / "firmware"
    for folder in ("agent", "boards", "engine", "support"):
        shutil.copytree(ROOT / "firmware" / folder, copy / folder)
    monkeypatch.chdir(tmp_path)
    kept = tmp_path / "kept"
    moved = Making(target_for(nano33.kind, [nano33.kind], copy), toolchain, kept=kept)
    contents = {here.image.path.read_bytes()}
    for name in ("b.elf", "c.elf"):
        contents.add(make(graph, moved, Path(name)).image.path.read_bytes())
    assert len(contents) == 1
    assert len(list(kept.glob("*.o"))) > 15
    committed = ROOT / "firmware/prebuilt/nano33/fashion_mnist_int8.elf"
    if "(15:12.2.rel1-1)" in toolchain.version:  # the images are Debian 12's compiler's
        assert contents == {committed.read_bytes()}


def test_only_what_knows_the_model_is_compiled_for_each(making, tmp_path):
    units = firmware_units(making.target, tmp_path, plain=False, strict=False, engine=True)
    assert [unit.source.name for unit in units if not unit.keep] == ["agent.c"]


def tensor(index, shape, data=None):
    return Tensor(index, f"t{index}", shape, "int8", Quantization((1.0,), (0,), 0), data)


def widening(pixels, channels):
    """A graph that makes a tensor of so many channels of `pixels` bytes (both are needed at once), and less of that."""
    tensors = (
        tensor(0, (1, 10, pixels // 10, 1)),
        tensor(1, (channels, 1, 1, 1), np.ones((channels, 1, 1, 1), np.int8)),
        tensor(2, (1, 10, pixels // 10, channels)),
        tensor(3, (1, 1, 1, channels), np.ones((1, 1, 1, channels), np.int8)),
        tensor(4, (1, 10, -(-pixels // 20), 1)),
    )
    options = {"Padding": 1, "StrideH": 1, "FusedActivationFunction": 0}
    operators = (
        Operator(0, "CONV_2D", (0, 1), (2,), {**options, "StrideW": 1}),
        Operator(1, "CONV_2D", (2, 3), (4,), {**options, "StrideW": 2}),
    )
    return Graph("wide.tflite", "0" * 64, tensors, operators, tensors[:1], tensors[4:])


@pytest.mark.parametrize(
    ("pixels", "channels", "says"),
    [
        (13_700, 18, r"  RAM: the image needs 24\d,\d\d\d B, there are 245,760 B: 1,\d\d\d B too many"),
        (13_550, 18, r"  RAM: only (1,)?\d\d\d of 245,760 B are left for the stack"),
    ],
)
def test_what_the_linker_refuses_is_said_in_our_words(making, tmp_path, pixels, channels, says):
    out = tmp_path / "wide.elf"
    with pytest.raises(ConfigError, match=says) as caught:
        make(widening(pixels, channels), making, out)
    text = str(caught.value)
    assert text.startswith("wide.tflite doesn't fit nano33 (Arduino Nano 33 BLE Sense):")
    assert "Most is in use at operator" in text
    assert f"The next input waits outside of the arena: {pixels:,} B." in text
    assert f"tensor 2 1x10x{pixels // 10}x{channels} int8: {pixels * channels:,} B" in text
    assert not out.exists()
    assert re.search(r"It fits with --patches auto: \d\d,\d{3} B of arena, 1\.\d\d times the MACs\.$", text)


@pytest.mark.parametrize(("pixels", "channels", "dma"), [(11_000, 18, 16_384), (66_000, 1, 73_728)])
def test_what_dma_leaves_of_its_blocks_is_for_the_arena(making, nano33, tmp_path, pixels, channels, dma):
    graph = widening(pixels, channels)
    made = make(graph, making, tmp_path / "wide.elf")
    sizes = {region.name: region.size_bytes for region in made.regions}
    assert (sizes["DMARAM"], sizes["RAM"]) == (dma, nano33.kind.ram.size - dma)
    values = np.random.default_rng(4).integers(-128, 128, (10, pixels // 10)).astype(np.int8)
    with open_board(nano33, "virtual") as board:
        link = Link(board.link(), board.name, Timing(baud=nano33.kind.baud))
        start_image(board, made.image, link)
        got = np.frombuffer(link.infer(values.tobytes()).output, np.int8)
        ram = measure_peak_ram(board, made.image, link)
    want = np.clip(channels * values[:, ::2].astype(int), -128, 127)
    assert np.array_equal(got, want.ravel())
    assert ram.arena_bytes == plan_memory(graph).arena_bytes
    assert 0 < ram.stack_bytes < 1000


def test_a_kind_that_nobody_can_build_for_says_which_are(nano33):
    other = nano33.kind.model_copy(update={"name": "other", "build": None})
    with pytest.raises(ConfigError, match=r'for other: it has no "build:".* It can for: nano33'):
        target_for(other, [nano33.kind, other], ROOT / "firmware")
    nameless = nano33.kind.model_copy(update={"name": "other"})
    with pytest.raises(ConfigError, match=r"for other: it has no folder .*boards.other"):
        target_for(nameless, [nano33.kind], ROOT / "firmware")


def test_an_image_is_not_replaced_by_one_that_fails(making, tmp_path):
    out = tmp_path / "wide.elf"
    out.write_bytes(b"the last good one")
    with pytest.raises(ConfigError):
        make(widening(13_700, 18), making, out)
    assert out.read_bytes() == b"the last good one"
    assert [path.name for path in tmp_path.iterdir()] == ["wide.elf"]


@pytest.mark.parametrize("excess", [0, 1])
def test_an_output_that_no_reply_can_hold_is_refused_before_compiling(making, tmp_path, excess):
    size = MAX_OUTPUT_BYTES + excess
    tensors = (tensor(0, (1, 1, size, 1)), tensor(1, (1, 1, size, 1)))
    options = {"Padding": 1, "StrideH": 1, "StrideW": 1, "FilterHeight": 1, "FilterWidth": 1}
    operator = Operator(0, "MAX_POOL_2D", (0,), (1,), options)
    graph = Graph("wide.tflite", "0" * 64, tensors, (operator,), tensors[:1], tensors[1:])
    if excess:
        with pytest.raises(ConfigError, match=rf"wide\.tflite: an output of {size:,} B; a reply holds at most"):
            make(graph, making, tmp_path / "wide.elf")
    else:
        assert make(graph, making, tmp_path / "wide.elf").image.card.output.nbytes == size


def test_a_picture_that_is_too_wide_for_a_kernel_is_refused():
    graph = widening(655_360, 1)
    with pytest.raises(ConfigError, match=r"operators 0, 1 \(CONV_2D\): in_w is 65,536. Needed: at most 65,535"):
        plan_memory(graph)


def test_a_number_that_a_kernel_cannot_hold_is_never_cut_off(making, tmp_path):
    """Such as a zero point of a damaged file: struct hil_quant has 16 bits for it."""
    graph = widening(100, 1)
    wrong = replace(graph.tensors[0], quantization=Quantization((1.0,), (70_000,), 0))
    graph = replace(graph, tensors=(wrong, *graph.tensors[1:]), inputs=(wrong,))
    with pytest.raises(ConfigError, match=r"(?s)model\.c can't be compiled.*changes value from '70000'"):
        make(graph, making, tmp_path / "wide.elf")


@pytest.mark.skipif(shutil.which("make") is None or shutil.which("avr-gcc") is None, reason="needs make and avr-gcc")
def test_an_image_that_can_no_longer_be_made_is_not_left_to_be_measured(tmp_path):
    image = tmp_path / "fashion_mnist_int4.elf"
    image.write_bytes(b"made when there were other kernels")
    os.utime(image, (0, 0))
    command = [
        "make",
        "-s",
        "-C",
        ROOT / "firmware",
        "BOARD=uno",
        f"BUILD={tmp_path}",
        f"PYTHON={sys.executable}",
        image,
    ]
    subprocess.run(command, check=True, capture_output=True)
    assert not image.exists()
    assert "has no kernel for" in image.with_suffix(".unsupported").read_text()
