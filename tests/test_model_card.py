"""Quantization of inputs, and cards that are wrong."""

from __future__ import annotations

import numpy as np
import pytest

from harness.errors import ImageError
from harness.model_card import TensorSpec, parse_card

CARD = b"""{"card": 1, "board": "nano33", "model": "m", "engine": "e",
  "input": {"shape": [1, 2], "dtype": "int8", "scale": 0.5, "zero_point": -1},
  "output": {"shape": [1, 3], "dtype": "float32"}}"""


def test_quantization_rounds_halves_away_from_zero_and_saturates():
    spec = TensorSpec(shape=(1, 8), dtype="int8", scale=0.5, zero_point=-1)
    real = np.array([[0.0, 0.25, -0.25, 0.24, 0.75, -0.75, 1000.0, -1000.0]], np.float32)
    assert spec.encode(real).tolist() == [[-1, 0, -2, -1, 1, -3, 127, -128]]


def test_unsigned_quantization():
    spec = TensorSpec(shape=(1, 3), dtype="uint8", scale=1 / 256, zero_point=0)
    assert spec.encode(np.array([[0.0, 0.5, 1.0]], np.float32)).tolist() == [[0, 128, 255]]


def test_float_inputs_are_left_alone():
    spec = TensorSpec(shape=(1, 2, 1), dtype="float32")
    encoded = spec.encode(np.array([[[0.1], [0.2]]], np.float32))
    assert encoded.dtype == np.dtype("<f4")
    assert encoded.tobytes() == np.array([0.1, 0.2], "<f4").tobytes()


def test_samples_of_another_size_are_refused():
    spec = TensorSpec(shape=(1, 4), dtype="float32")
    with pytest.raises(ImageError, match=r"samples of 6 values .* 4"):
        spec.encode(np.zeros((2, 3, 2), np.float32))


def test_output_of_another_size_is_refused():
    spec = TensorSpec(shape=(1, 4), dtype="float32")
    with pytest.raises(ImageError, match="15 bytes for a tensor of 16"):
        spec.decode(bytes(15))


def test_card_is_read_with_nuls_behind_it():
    card = parse_card(CARD + b"\0\0", "x.elf")
    assert card.input.zero_point == -1
    assert card.output.nbytes == 12


@pytest.mark.parametrize(
    ("old", "new", "where"),
    [
        (b'"card": 1', b'"card": 2', "card"),
        (b'"board": "nano33", ', b"", "board"),
        (b'"scale": 0.5, ', b"", "input"),
        (b'"scale": 0.5', b'"scale": 0', "input"),
        (b"[1, 2]", b"[1, 0]", "input"),
        (b'"float32"', b'"float64"', "output.dtype"),
        (b"}}", b"}", "the whole card"),
    ],
)
def test_wrong_cards_are_refused_by_key(old, new, where):
    with pytest.raises(ImageError, match=f"x.elf: the model card is wrong at {where}"):
        parse_card(CARD.replace(old, new), "x.elf")
