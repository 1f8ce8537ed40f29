"""Images for the Arduino Uno: built, flashed by avrdude, and run by the emulator; and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engine.oracles import Int8Oracle
from engine.random_models import random_model
from harness.boards.opening import open_board
from harness.boards.simavr import require_simavr
from harness.boards.start_image import start_image
from harness.build.making import Making, compile_model
from harness.build.sources import target_for
from harness.build.toolchain import find_toolchain
from harness.config import Device, shipped_kinds
from harness.errors import ConfigError
from harness.link.client import Link
from harness.measure.memory import measure_peak_ram

ROOT = Path(__file__).parents[3]
MODELS = ROOT / "firmware" / "models"
KIND = shipped_kinds()["uno"]
#: Layers of which each has a kernel of its own, with a seed that gives it a window, padding, or other odd sizes.
LAYERS = {
    "CONV_2D": (1, 4),
    "DEPTHWISE_CONV_2D": (1, 2),
    "FULLY_CONNECTED": (3,),
    "AVERAGE_POOL_2D": (4,),
    "MAX_POOL_2D": (1,),
    "MEAN": (1,),
    "SOFTMAX": (0,),
    "TANH": (1,),
    "CONCATENATION": (1,),
}


@pytest.fixture
def making(kept_objects):
    try:
        return Making(
            target_for(KIND, tuple(shipped_kinds().values()), ROOT / "firmware"),
            find_toolchain("avr-"),
            strict=True,
            kept=kept_objects,
        )
    except ConfigError as error:
        pytest.skip(str(error))


@pytest.fixture
def emulated():
    try:
        require_simavr()
    except ConfigError as error:
        pytest.skip(str(error))


def open_uno():
    return open_board(Device(name="uno", kind=KIND, link="uart"), "virtual")


def test_an_operator_without_a_kernel_is_refused_by_name(making, tmp_path):
    model = MODELS / "japanese_vowels" / "japanese_vowels_float32.tflite"
    words = r"uno \(Arduino Uno\) has no kernel for operators 0, 1 \(CONV_2D: hil_conv_f32_plain\); operator 2 "
    with pytest.raises(ConfigError, match=words):
        compile_model(model, making, tmp_path / "out.elf", "out")
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "words"),
    [
        (
            "shoulder_anomaly_float32",
            r"flash: weights and other constants alone take 61,688 B, .*: 29,432 B too many\.",
        ),
        ("japanese_vowels_int8", r"RAM: the image needs [\d,]+ B, there are 2,048 B: [\d,]+ B too many\."),
        ("shoulder_exercises_small_input_int8", r"RAM: only \d+ of 2,048 B are left for the stack, \d+ B too few\."),
    ],
)
def test_what_does_not_fit_is_said_in_bytes(making, tmp_path, model, words):
    path = next(MODELS.glob(f"*/{model}.tflite"))
    with pytest.raises(ConfigError, match=rf"doesn't fit uno \(Arduino Uno\):\n +{words}"):
        compile_model(path, making, tmp_path / "out.elf", "out")


@pytest.mark.slow
@pytest.mark.usefixtures("emulated")
def test_counts_repeat_from_power_on_to_power_on_and_are_the_time_between_the_edges_of_the_sync_pin(making, tmp_path):
    model = MODELS / "meat_fat" / "meat_fat_int8.tflite"
    image = compile_model(model, making, tmp_path / "meat_fat_int8.elf", "meat_fat_int8").image
    inputs = np.random.default_rng(3).integers(-128, 128, (3, 90), np.int8)
    oracle = Int8Oracle(model)
    counts, nonces = [], set()
    for _ in range(2):  # with other noise in RAM, and interrupts at other moments
        with open_uno() as board:
            link = Link(board.link(), board.name)
            info = start_image(board, image, link)
            nonces.add(info.nonce)
            bottom, top = image.stack
            board.twin.watch_stack(bottom, top)
            counts.append([])
            for values in inputs:
                result = link.infer(values.tobytes())
                (ticks,) = result.ticks
                pulse = board.twin.status().pulse
                # Rounds of 65,536 cycles are counted by an interrupt, whose own cycles are not the model's.
                assert 0 < pulse - ticks - info.counter_overhead < 1000 + 110 * (ticks // 65_536 + 1)
                assert np.frombuffer(result.output, np.int8) == oracle.run(values.reshape(1, 90, 1, 1)).ravel()
                counts[-1].append(ticks)
            stack = measure_peak_ram(board, image, link).stack_bytes
            assert stack == top - (board.twin.lowest_write & ~3)
            link.connect(after_reset=False)
            board.restart()
            nonces.add(link.connect().nonce)
    assert counts[0] == counts[1]
    assert len(nonces) == 4
    assert (info.chip_id, info.counter, info.counter_hz) == (0, "Timer/Counter1", 16_000_000)
    assert KIND.ram.start <= bottom < top == KIND.ram.end


@pytest.mark.slow
@pytest.mark.usefixtures("emulated")
@pytest.mark.parametrize(("kind", "seed"), [(kind, seed) for kind, seeds in LAYERS.items() for seed in seeds])
def test_layers_whose_weights_lie_in_flash_are_equal_to_tflite_micro(making, tmp_path, kind, seed):
    model = tmp_path / "layer.tflite"
    model.write_bytes(random_model(kind, seed, "int8"))
    checked = compile_model(model, making, tmp_path / "out.elf", "out").checked
    assert "on the virtual board and in tflite-micro" in checked
    assert checked.endswith("equal bit for bit.")
