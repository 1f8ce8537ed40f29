"""The arithmetic that the model zoo is made and judged with, and that suites and models fit together."""

import importlib
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import yaml

ROOT = Path(__file__).parents[2]
SUITES = sorted((ROOT / "suites").glob("*.yaml"))


@pytest.fixture
def zoo(monkeypatch):
    """Import a module of the zoo, which is no package that is installed."""
    monkeypatch.syspath_prepend(str(ROOT / "firmware" / "models"))
    yield lambda name: importlib.import_module(f"zoo.{name}")
    for name in [name for name in sys.modules if name.partition(".")[0] == "zoo"]:
        del sys.modules[name]


def test_area_is_the_mean_over_equal_blocks(zoo):
    image = np.arange(16, dtype=np.float32).reshape(1, 4, 4, 1)
    small = zoo("resize").area(image, 2, 2)
    assert small.dtype == np.float32
    assert small[0, :, :, 0].tolist() == [[2.5, 4.5], [10.5, 12.5]]


def test_area_halves_a_series_and_leaves_its_channels_apart(zoo):
    series = np.array([[1, 10], [3, 30], [5, 50], [9, 90]], np.float32).reshape(1, 4, 1, 2)
    assert zoo("resize").area(series, 2, 1).reshape(2, 2).tolist() == [[2, 20], [7, 70]]


def test_area_refuses_blocks_that_are_not_equal(zoo):
    with pytest.raises(ValueError, match="29 x 1 doesn't divide"):
        zoo("resize").area(np.zeros((1, 29, 1, 12), np.float32), 15, 1)


def test_bilinear_has_half_pixel_centres_and_repeats_the_edge(zoo):
    row = np.array([0, 1], np.float32).reshape(1, 1, 2, 1)
    assert zoo("resize").bilinear(row, 1, 4).ravel().tolist() == [0, 0.25, 0.75, 1]


def test_bilinear_does_rows_and_columns_alike(zoo):
    image = np.random.default_rng(7).random((2, 5, 3, 2)).astype(np.float32)
    turned = zoo("resize").bilinear(image.transpose(0, 2, 1, 3), 7, 11).transpose(0, 2, 1, 3)
    np.testing.assert_allclose(zoo("resize").bilinear(image, 11, 7), turned, atol=1e-6)


def test_interval_of_all_right_does_not_reach_certainty(zoo):
    low, high = zoo("counting").interval(40, 40)
    assert low == pytest.approx(0.9124, abs=1e-4)
    assert high == pytest.approx(1)


def test_interval_holds_published_values(zoo):
    # Newcombe, Statistics in Medicine 17 (1998), table I: 81 of 263, score method.
    assert zoo("counting").interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)


@pytest.mark.parametrize(("gained", "lost", "p"), [(0, 0, 1), (3, 2, 1), (0, 8, 2 / 256), (9, 1, 22 / 1024)])
def test_sign_test_counts_the_outcomes_at_least_as_uneven(zoo, gained, lost, p):
    assert zoo("counting").sign_test(gained, lost) == pytest.approx(p)


@pytest.mark.parametrize("path", SUITES, ids=lambda path: path.stem)
def test_every_variant_of_a_suite_has_a_model(path):
    suite = yaml.safe_load(path.read_text())
    for variant in suite["variants"].values():
        model = variant["image"].removesuffix("_kept").removesuffix("_patched")
        assert (ROOT / "firmware" / "models" / suite["task"] / f"{model}.tflite").is_file(), model


def test_a_model_made_anew_is_held_against_the_committed_one(zoo, tmp_path):
    folder = ROOT / "firmware" / "models" / "meat_fat"
    task = SimpleNamespace(shape=(90, 1, 1), resize=None, answer="value", suite_inputs=9)  # a Task needs TensorFlow
    x = np.random.default_rng(3).random((9, *task.shape), np.float32)
    test = zoo("task").Split(x, x, np.zeros(9), None)
    committed = folder / "meat_fat_float32.tflite"

    def said(made):
        return zoo("compare").compared(task, made, committed, test)

    assert said(committed) == "equal byte for byte"
    (tmp_path / "model.tflite").write_bytes(committed.read_bytes() + b"\0")
    assert re.search(
        r"test (\d+\.\d+), committed \1; 0 of 9 answers .* differ, by 0 at most", said(tmp_path / "model.tflite")
    )
    other = said(folder / "meat_fat_int8_weights.tflite")
    assert re.search(
        r"^other bytes; mean absolute error on test .*; 9 of 9 answers of the suite differ, by [\d.]+", other
    )
