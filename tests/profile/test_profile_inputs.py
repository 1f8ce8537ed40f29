from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from harness.config import load_suite
from harness.errors import ConfigError
from harness.image.elf import load_image
from harness.image.model_card import TensorSpec
from harness.profile.inputs import file_input, random_input, suite_input

INT8 = TensorSpec(shape=(1, 28, 28, 1), dtype="int8", scale=0.00392156862745098, zero_point=-128)
FLOAT = TensorSpec(shape=(1, 28, 28, 1), dtype="float32")


@pytest.fixture
def array(tmp_path):
    """Write a .npy file and return its path."""

    def array(values):
        np.save(tmp_path / "input.npy", values)
        return tmp_path / "input.npy"

    return array


def test_random_integers_fill_the_range_of_their_type():
    values = np.frombuffer(random_input(INT8).data, np.int8)
    assert values.shape == (784,)
    assert (values.min(), values.max()) == (-128, 127)
    assert abs(values.astype(int).mean()) < 10
    assert random_input(INT8).origin == "random, -128 to 127, seed 0"


def test_random_floats_lie_between_0_and_1():
    values = np.frombuffer(random_input(FLOAT).data, "<f4")
    assert values.shape == (784,)
    assert 0 <= values.min() < 0.1
    assert 0.9 < values.max() < 1
    assert random_input(FLOAT).origin == "random, 0 to 1, seed 0"


def test_random_means_the_same_for_the_same_seed():
    assert random_input(INT8) == random_input(INT8)
    assert random_input(INT8, 1).data != random_input(INT8).data


@pytest.mark.parametrize("kind", ["int8", "float32"])
def test_a_sample_is_what_a_run_of_the_suite_sends(root, prebuilt, kind):
    path = root / "suites" / "fashion_mnist.yaml"
    image = load_image(prebuilt / f"fashion_mnist_{kind}.elf")
    chosen = suite_input(image, path, 5)
    assert chosen.data == image.card.input.encode(load_suite(path).load_data().real())[5].tobytes()
    assert chosen.origin == f"sample 5 of fashion_mnist ({path})"


def test_a_sample_that_the_suite_lacks(root, prebuilt):
    image = load_image(prebuilt / "fashion_mnist_int8.elf")
    with pytest.raises(ConfigError, match=r"fashion_mnist\.yaml: there is no sample 1000; the suite has 0 to 999"):
        suite_input(image, root / "suites" / "fashion_mnist.yaml", 1000)


@pytest.fixture
def small_image(prebuilt):
    """An image whose model takes 14 x 14."""
    image = load_image(prebuilt / "fashion_mnist_int8.elf")
    spec = image.card.input.model_copy(update={"shape": (1, 14, 14, 1)})
    return replace(image, card=image.card.model_copy(update={"one_input": spec}))


def test_a_suite_for_another_model(root, small_image):
    with pytest.raises(ConfigError, match=r"fashion_mnist\.yaml: inputs of 784 values .* for a model whose input"):
        suite_input(small_image, root / "suites" / "fashion_mnist.yaml", 0)


def test_a_sample_is_resized_as_for_the_variant_of_the_image(root, tmp_path, small_image):
    source = root / "suites" / "fashion_mnist.yaml"
    text = source.read_text().replace("data/", f"{source.parent}/data/")
    assert text.count("    image: fashion_mnist_int8\n") == 1
    path = tmp_path / "suite.yaml"
    path.write_text(
        text.replace("    image: fashion_mnist_int8\n", "    image: fashion_mnist_int8\n    resize: area\n")
    )
    real = load_suite(path).load_data().real()[0].reshape(14, 2, 14, 2).mean((1, 3), dtype=np.float32)
    expected = small_image.card.input.encode(real[None]).astype(int).ravel()
    # In another precision the last step may be another.
    assert np.abs(np.frombuffer(suite_input(small_image, path, 0).data, np.int8) - expected).max() <= 1


def test_a_file_of_real_values_is_quantized(array):
    chosen = file_input(INT8, array(np.linspace(0, 1, 784)))
    values = np.frombuffer(chosen.data, np.int8)
    assert (values[0], values[-1]) == (-128, 127)
    assert chosen.origin.endswith("input.npy, real values")


def test_a_file_in_the_type_of_the_tensor_is_taken_as_it_is(array):
    values = np.random.default_rng(0).integers(-128, 128, (28, 28), np.int8)
    assert file_input(INT8, array(values)).data == values.tobytes()
    # Not as it lies in the file, but in the order of its indices.
    assert file_input(INT8, array(np.asfortranarray(values))).data == values.tobytes()


def test_real_values_for_a_float_model(array):
    values = np.linspace(0, 1, 784)
    assert file_input(FLOAT, array(values)).data == values.astype("<f4").tobytes()


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (
            np.zeros(783),
            r"inputs of 783 values \(shape \(783,\)\) for a model whose input has 784 \(shape \(1, 28, 28, 1\)\)",
        ),
        (np.zeros(784, np.int16), r"values of type int16; give floats \(real values\) or int8 \(raw\)"),
        (np.full(784, np.nan), "not a finite number"),
        (np.full(784, 1e300), "not a finite number in float32"),
        (np.zeros((14, 56)), r"inputs of shape \(14, 56\) for a model whose input has shape \(1, 28, 28, 1\)"),
    ],
)
def test_files_that_are_no_input(array, values, words):
    with pytest.raises(ConfigError, match=rf"input\.npy: .*{words}"):
        file_input(INT8, array(values))


def test_no_such_file(tmp_path):
    with pytest.raises(ConfigError, match="no such file"):
        file_input(INT8, tmp_path / "input.npy")
