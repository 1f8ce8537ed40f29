"""Quantization of inputs, and cards that are wrong."""

from __future__ import annotations

import json

import numpy as np
import pytest

from fuzzing import NOT_JSON, STRANGE, amounts, fuzz, replace_value
from harness.errors import ImageError
from harness.image.layer_table import parse_layers
from harness.image.model_card import TensorSpec, parse_card

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
        (b'"scale": 0.5', b'"scale": Infinity', r"input\.scale: Input should be a finite number"),
        (b'"scale": 0.5', b'"scale": NaN', r"input\.scale: Input should be a finite number"),
        (b'"scale": 0.5', b'"scale": 1e999', r"input\.scale: Input should be a finite number"),
        (b'"scale": 0.5', b'"scale": 1e39', r"input: the scale must be a positive float32 number, not 1e\+39"),
        (b'"scale": 0.5', b'"scale": 1e-46', r"input: the scale must be a positive float32 number, not 1e-46"),
        (b'"scale": 0.5', b'"scale": -0.5', r"input: the scale must be a positive float32 number, not -0\.5"),
        (b'"scale": 0.5', b'"scale": true', r"input\.scale: Input should be a valid number"),
        (b": -1}", b": 99999}", "input: the zero_point of a tensor of type int8 lies between -128 and 127, 99999"),
        (b": -1}", b": -129}", "input: the zero_point of a tensor of type int8 lies between -128 and 127, -129"),
        (b'int8", "scale": 0.5', b'uint8", "scale": 0.5', "input: the zero_point of a tensor of type uint8 lies"),
        (b": -1}", b": false}", r"input\.zero_point: Input should be a valid integer"),
        (b": -1}", b": -1.0}", r"input\.zero_point: Input should be a valid integer"),
        (b": -1}", b": " + b"9" * 5000 + b"}", "the whole card: Invalid JSON"),
        (b"[1, 2]", b"[1, true]", r"input\.shape\.1: Input should be a valid integer"),
        (b"[1, 2]", b"[65536, 65536]", "input: a tensor of shape .* has 4294967296 bytes"),
        (b'"float32"', b'"float32", "scale": 1, "zero_point": 0', "output: a tensor of type float32 has neither"),
        (b'"card": 1', b'"card": 1, "macs": 100000000000000000000', "macs: Input should be less"),
        (b'"card": 1', b'"card": 1, "parameters": true', "parameters: Input should be a valid integer"),
        (b'"e"', b"[" * 5000, "the whole card: Invalid JSON: recursion limit"),
    ],
)
def test_wrong_cards_are_refused_by_key(old, new, where):
    with pytest.raises(ImageError, match=f"x.elf: the model card is wrong at {where}"):
        parse_card(CARD.replace(old, new), "x.elf")


SEVERAL = b"""{"card": 1, "board": "nano33", "model": "m", "engine": "e", "state_bytes": 12,
  "inputs": [{"name": "a", "shape": [1, 2], "dtype": "int16", "scale": 0.5, "zero_point": 0},
             {"name": "b", "shape": [3], "dtype": "int32"}],
  "outputs": [{"shape": [1, 3], "dtype": "float32"}]}"""


def test_a_card_of_several_tensors():
    card = parse_card(SEVERAL, "x.elf")
    assert [(spec.name, spec.nbytes) for spec in card.inputs] == [("a", 4), ("b", 12)]
    assert (card.input_bytes, card.output_bytes, card.state_bytes) == (16, 12, 12)
    assert card.output.dtype == "float32"
    with pytest.raises(ImageError, match=r"the model m has 2 inputs \(a, b\), and one is needed here"):
        _ = card.input
    wide = np.array([[-(2.0**40), 2.0**40, 2.0**24]], np.float32)
    assert card.inputs[1].encode(wide).tolist() == [[-(2**31), 2**31 - 1, 2**24]]
    assert card.inputs[0].encode(np.array([[1e9, -0.25]], np.float32)).tolist() == [[32767, -1]]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (b'"name": "b"', b'"name": "a"', 'each of several "inputs" needs a "name" of its own'),
        (b'"name": "b", ', b"", 'each of several "inputs" needs a "name" of its own'),
        (b'"outputs"', b'"exits"', 'it must have either "output" or "outputs"'),
        (b'"card": 1', b'"card": 1, "output": {"shape": [1], "dtype": "float32"}', 'either "output" or "outputs"'),
        (b'[{"shape": [1, 3], "dtype": "float32"}]', b"[]", "outputs: "),
        (b'"state_bytes": 12', b'"state_bytes": -1', "state_bytes: "),
        (b'"int32"', b'"int32", "scale": 0.5', "inputs.1: a tensor of type int32 needs a scale and a zero_point"),
        (b"[3]", b"[1073741823]", "inputs. have more bytes together"),
    ],
)
def test_wrong_lists_of_tensors_are_refused(old, new, said):
    with pytest.raises(ImageError, match=said):
        parse_card(SEVERAL.replace(old, new), "x.elf")


TABLE = b"""{"version": 1, "layers": [{"layer": 0, "operator": 0, "kind": "SOFTMAX", "kernel": "hil_softmax_s8",
  "output": [1, 10], "macs": 0, "bytes_moved": 20, "parameters": 0}]}"""


@pytest.mark.parametrize(
    ("old", "new", "where"),
    [
        (b'"macs": 0', b'"macs": 1e400', r"layers\.0\.macs: Input should be a valid integer"),
        (b'"macs": 0', b'"macs": true', r"layers\.0\.macs: Input should be a valid integer"),
        (b'"macs": 0', b'"macs": 9223372036854775808', r"layers\.0\.macs: Input should be less"),
        (b"[1, 10]", b"[1, -10]", r"layers\.0\.output\.1: Input should be greater"),
        (b'"bytes_moved": 20', b'"bytes_moved": NaN', r"layers\.0\.bytes_moved: Input should be a valid integer"),
        (b'"SOFTMAX"', b'""', r"layers\.0\.kind: String should have at least 1 character"),
        (b'"layer": 0', b'"layer": 0.0', r"layers\.0\.layer: Input should be a valid integer"),
    ],
)
def test_wrong_tables_of_layers_are_refused_by_key(old, new, where):
    assert parse_layers(TABLE, "x.elf")[0].output == (1, 10)
    with pytest.raises(ImageError, match=f"x.elf: the table of layers is wrong at {where}"):
        parse_layers(TABLE.replace(old, new), "x.elf")


def _changed(chance, source):
    """A good JSON text with some of its values replaced, which Python's json writes with NaN and Infinity; or bytes."""
    content = json.loads(source)
    for _ in range(chance.randint(1, 4)):
        replace_value(chance, content, STRANGE + NOT_JSON)
    text = bytearray(json.dumps(content).encode())
    for _ in range(chance.choice((0, 0, 1, 2))):
        text[chance.randrange(len(text))] = chance.randrange(256)
    return bytes(text)


def _card_is_read_or_refused(text):
    try:
        card = parse_card(text, "x.elf")
    except ImageError:
        return
    for tensor in (card.input, card.output):
        assert 0 < tensor.nbytes < 2**32
        if tensor.dtype == "float32":
            assert tensor.scale is tensor.zero_point is None
        else:
            assert 0 < np.float32(tensor.scale) < np.inf
            assert np.array(tensor.zero_point).astype(tensor.dtype) == tensor.zero_point
            if tensor.size < 1000:  # zero is exactly representable, whatever the scale
                zeros = np.zeros((1, tensor.size), np.float32)
                assert (tensor.encode(zeros) == tensor.zero_point).all()
    json.dumps(card.model_dump(mode="json"))


def _table_is_read_or_refused(text):
    try:
        layers = parse_layers(text, "x.elf")
    except ImageError:
        return
    assert [spec.layer for spec in layers] == list(range(len(layers)))
    for spec in layers:
        for count in (spec.macs, spec.bytes_moved, spec.parameters, *spec.output):
            assert type(count) is int
            assert 0 <= count <= 2**53


@amounts(quick=1000, many=50_000)
def test_fuzzed_cards_and_tables_are_read_or_refused(cases):
    def check(chance):
        _card_is_read_or_refused(_changed(chance, CARD))
        _table_is_read_or_refused(_changed(chance, TABLE))

    fuzz(cases, check)
