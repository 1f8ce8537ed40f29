from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harness.config import load_suite, shipped_kinds
from harness.errors import ConfigError, NoImageError

SHIPPED = Path(__file__).parents[2] / "suites" / "fashion_mnist.yaml"

SUITE = """\
task: digits
inputs: {file: data.npz, array: images, scale: 0.5, offset: -1}
labels: {file: data.npz, array: labels}
classes: [a, b, c]
images: images
limits:
  accuracy: {min: 0.5}
  flash_bytes: {max: 1000}
variants:
  float32:
    image: net_float32
    technique: float32 baseline
  int8:
    image: net_int8
    technique: int8 quantization
    baseline: float32
    limits:
      flash_bytes: {max: 500}
"""


@pytest.fixture
def write(tmp_path):
    np.savez(tmp_path / "data.npz", images=np.arange(24, dtype=np.uint8).reshape(6, 4), labels=[0, 1, 2, 0, 1, 2])

    def write(text=SUITE):
        path = tmp_path / "digits.yaml"
        path.write_text(text)
        return path

    return write


def test_the_shipped_suite_is_read():
    suite = load_suite(SHIPPED)
    assert suite.task == "fashion_mnist"
    assert [variant.name for variant in suite.variants][:3] == ["float32", "int8", "int8_qat"]
    assert suite.variant("int8").baseline == "float32"
    assert suite.variant("student_distilled_int8").baseline == "student_int8"
    assert suite.variant("small_input_int8").resize == "area"
    assert suite.inputs.scale == 1 / 255
    assert len(suite.classes) == 10


@pytest.mark.parametrize(
    ("lines", "tolerance", "budget"),
    [
        ("tolerance: 0.02\nbudget: 'ram<=32k, accuracy>=0.9'", 0.02, "ram<=32k, accuracy>=0.9"),
        ("tolerance: {accuracy: 1%}\nbudget: {ram: 32k, cycles: 2e6, accuracy: 0.9, latency: '<=5ms'}", 0.01,
         "ram<=32k, cycles<=2e6, accuracy>=0.9, latency<=5ms"),
        ("", None, ""),
    ],
)  # fmt: skip
def test_what_to_ship_is_a_matter_of_the_suite(write, lines, tolerance, budget):
    suite = load_suite(write(f"{SUITE}{lines}\n"))
    assert (suite.tolerance, suite.budget) == (tolerance, budget)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("tolerance: -1", 'tolerance: "-1" is no tolerance'),
        ("tolerance: {flash: 3}", "tolerance: is a number, or one for accuracy or score"),
        ("budget: {ticks: 2M}", "say what is counted: instructions or cycles"),
        ("budget: {rum: 2k}", 'did you mean "ram"'),
        ("budget: 3", 'budget: "3" is no bound'),
    ],
)
def test_a_tolerance_or_budget_that_makes_no_sense_is_refused(write, line, words):
    with pytest.raises(ConfigError) as error:
        load_suite(write(f"{SUITE}{line}\n"))
    assert words in str(error.value)


def test_limits_of_a_variant_go_over_those_of_the_suite(write):
    suite = load_suite(write())
    assert suite.variant("float32").limits["flash_bytes"].max == 1000
    assert suite.variant("int8").limits["flash_bytes"].max == 500
    assert suite.variant("int8").limits["accuracy"].min == 0.5
    assert suite.variant("int8").line == 13
    assert suite.title == "digits"


def test_data(write):
    data = load_suite(write()).load_data()
    assert (data.raw.shape, data.raw.dtype) == ((6, 4), np.uint8)
    assert (data.labels.dtype, list(data.labels)) == (np.int64, [0, 1, 2, 0, 1, 2])
    assert data.real().dtype == np.float32
    np.testing.assert_array_equal(data.real()[1], [1.0, 1.5, 2.0, 2.5])
    assert len(load_suite(write()).load_data(2)) == 2


def test_the_suite_may_say_how_many_samples(write):
    suite = load_suite(write(SUITE.replace("images: images", "samples: 3")))
    assert len(suite.load_data()) == 3
    assert len(suite.load_data(5)) == 5


def test_npy_files_need_no_array_name(write, tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((6, 2), np.float32))
    text = SUITE.replace("{file: data.npz, array: images, scale: 0.5, offset: -1}", "{file: x.npy}")
    assert load_suite(write(text)).load_data().raw.shape == (6, 2)


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("task: digits", "task: digits\ntsk: 1", 2, 'tsk: unknown key; did you mean "task"?'),
        ("classes: [a, b, c]", "classes: [a]", 4, "classes: "),
        ("classes: [a, b, c]", "classes: [a, b, b]", 4, "a class stands twice"),
        ("scale: 0.5", "scale: 0", 2, "scale must not be 0"),
        ("scale: 0.5", "scale: .nan", 2, "must be a finite number"),
        ("image: net_int8", "imag: net_int8", 14, 'variants.int8.imag: unknown key; did you mean "image"?'),
        ("baseline: float32", "baseline: float3", 16, 'no variant is called "float3"; did you mean "float32"?'),
        ("baseline: float32", "baseline: int8", 16, "can't be compared with itself"),
        ("accuracy: {min: 0.5}", "acuracy: {min: 0.5}", 7, 'did you mean "accuracy"?'),
        ("accuracy: {min: 0.5}", "engine: {min: 0.5}", 7, "limits.engine: is no numeric column"),
        ("accuracy: {min: 0.5}", "estimated_cycles_max: {max: 5}", 7, "limits.estimated_cycles_max: is an estimate"),
        ("accuracy: {min: 0.5}", "accuracy: {}", 7, 'limits.accuracy: give "min", "max" or both'),
        ("accuracy: {min: 0.5}", "accuracy: {min: 2, max: 1}", 7, "nothing could ever pass"),
        ("accuracy: {min: 0.5}", "ticks_median: {max: 9}", 7, 'say what is counted: "counter: instructions"'),
        ("accuracy: {min: 0.5}", "accuracy: {min: 0, counter: cycles}", 7, "goes with the ticks columns only"),
        ("  int8:\n", "  int 8:\n", 13, "variants.int 8: "),
        ("task: digits\n", "", 1, "task: is missing"),
        (
            "limits:\n  accuracy",
            "metric: top5\nlimits:\n  accuracy",
            6,
            'metric: no metric is called "top5"; did you mean "top',
        ),
        ("classes: [a, b, c]", "classes: [1, 2]", 4, "classes[0]: must be text, not 1; write it in quotes"),
    ],
)
def test_bad_suites(write, old, new, line, words):
    assert old in SUITE
    path = write(SUITE.replace(old, new, 1))
    with pytest.raises(ConfigError) as caught:
        load_suite(path)
    assert str(caught.value).startswith(f"{path}:{line}: ")
    assert words in str(caught.value)


def test_an_unknown_variant(write):
    with pytest.raises(ConfigError, match=r'no variant is called "int9"; did you mean "int8"\?'):
        load_suite(write()).variant("int9")


def test_image_path(write, tmp_path):
    folder = tmp_path / "images" / "nano33"
    folder.mkdir(parents=True)
    (folder / "net_float32.elf").touch()
    suite, kind = load_suite(write()), shipped_kinds()["nano33"]
    assert suite.image_path(suite.variant("float32"), kind) == folder / "net_float32.elf"
    with pytest.raises(ConfigError) as caught:
        suite.image_path(suite.variant("int8"), kind)
    assert f"{suite.path}:13: variants.int8.image: there is no image" in str(caught.value)
    assert "known: net_float32" in str(caught.value) or 'mean "net_float32"' in str(caught.value)


def test_a_missing_image_says_what_builds_it_or_by_how_much_it_does_not_fit(write, tmp_path):
    suite, kind = load_suite(write()), shipped_kinds()["microbit_v2"]
    with pytest.raises(NoImageError, match="`make -C firmware BOARD=microbit_v2` builds them") as caught:
        suite.image_path(suite.variant("int8"), kind)
    assert not caught.value.built
    folder = tmp_path / "images" / "microbit_v2"
    folder.mkdir(parents=True)
    said = "hil: net doesn't fit microbit_v2:\n  RAM: 13,536 B too many.\n  The arena takes 111,840 B of RAM.\n"
    (folder / "net_int8.too_large").write_text(said)
    with pytest.raises(NoImageError, match=r"^net doesn't fit microbit_v2: RAM: 13,536 B too many\.$") as caught:
        suite.image_path(suite.variant("int8"), kind)
    assert caught.value.built


@pytest.mark.parametrize("name", ["mine.elf", "mine.axf", "mine.out", "mine.ELF"])
def test_an_image_given_as_a_path_is_relative_to_the_suite(write, tmp_path, name):
    (tmp_path / name).touch()
    suite = load_suite(write(SUITE.replace("net_int8", name)))
    assert suite.image_path(suite.variant("int8"), shipped_kinds()["nano33"]) == tmp_path / name


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("mine.hex", "image: mine.hex holds bytes for the flash only, .*; name the .elf"),
        ("mine.BIN", "image: mine.BIN holds bytes for the flash only"),
        ("mine.tflite", "image: mine.tflite is a model, not an image; `hil build` makes one of it"),
        ("mine_v1.5", r"image: there is no image .*mine_v1\.5\.elf for board"),
    ],
)
def test_what_is_no_image(write, tmp_path, name, words):
    (tmp_path / name).touch()
    (tmp_path / "images" / "nano33").mkdir(parents=True)
    (tmp_path / "images" / "nano33" / "another.elf").touch()  # without any, none has been built
    suite = load_suite(write(SUITE.replace("net_int8", name)))
    with pytest.raises(ConfigError, match=rf"digits\.yaml:13: variants\.int8\.{words}"):
        suite.image_path(suite.variant("int8"), shipped_kinds()["nano33"])


GOOD_IMAGES, GOOD_LABELS = np.zeros((3, 2), np.uint8), np.array([0, 1, 2])


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"images": GOOD_IMAGES}, 'data.npz has no array "labels"; known: images'),
        ({"image": GOOD_IMAGES, "labels": GOOD_LABELS}, 'has no array "images"; did you mean "image"?'),
        ({"images": GOOD_IMAGES, "labels": GOOD_LABELS[:2]}, "has 3 inputs, but data.npz[labels] has 2 labels"),
        ({"images": GOOD_IMAGES[:0], "labels": GOOD_LABELS[:0]}, "data.npz[images] is empty"),
        ({"images": np.array(["a", "b", "c"]), "labels": GOOD_LABELS}, "must be made of numbers"),
        ({"images": np.array([{}, {}, {}]), "labels": GOOD_LABELS}, "holds Python objects, which are not read"),
        ({"images": np.array([1j, 2, 3]), "labels": GOOD_LABELS}, "must be made of numbers, not complex128"),
        (
            {"images": np.array([True, False, True]), "labels": GOOD_LABELS},
            "not bool; save it as numbers, with .astype(",
        ),
        (
            {"images": np.array([0, 1, 1e300]), "labels": GOOD_LABELS},
            "sample 2 contains 1e+300, which is too large for",
        ),
        ({"images": np.array([2**64 - 1] * 3, np.uint64) * GOOD_LABELS[0], "labels": np.eye(3, dtype=int)}, "argmax"),
        ({"images": GOOD_IMAGES, "labels": np.array([0, np.nan, 2])}, "must be a list of whole numbers"),
        ({"images": GOOD_IMAGES, "labels": np.array([0, 1, 3])}, "label 3 of sample 2 is not one of the 3 classes"),
        ({"images": GOOD_IMAGES, "labels": np.array([0, -1, 2])}, "label -1 of sample 1"),
        ({"images": GOOD_IMAGES, "labels": np.array([0.0, 1.0, 2.0])}, "save labels.astype(numpy.int64)"),
        ({"images": GOOD_IMAGES, "labels": GOOD_LABELS.reshape(3, 1)}, "save labels.reshape(-1)"),
        ({"images": np.array([0, 1, np.nan]), "labels": GOOD_LABELS}, "sample 2 contains a value that is not a finite"),
    ],
)
def test_bad_data(write, tmp_path, arrays, words):
    suite = load_suite(write())
    np.savez(tmp_path / "data.npz", **arrays)
    with pytest.raises(ConfigError) as caught:
        suite.load_data()
    assert str(caught.value).startswith(f"{suite.path}: ")
    assert words in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut off", b"no numpy file at all"])
def test_damaged_data(write, tmp_path, content):
    suite = load_suite(write())
    (tmp_path / "data.npz").write_bytes(content)
    with pytest.raises(ConfigError, match=r"can't be read as an \.npz or \.npy file"):
        suite.load_data()


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("x.csv", b"1,2\n3,4\n", "it is a table as text; .*{csv: FILE"),
        ("x.wav", b"RIFF\x24\0\0\0WAVEfmt ", "it is a WAV file; .*{wav: FOLDER"),
        ("x.pkl", b"\x80\x04\x95", "it is a pickle; .*numpy.savez"),
        ("x.npy", b"\x80\x04\x95", "it is a pickle; .*numpy.savez"),
        ("x.dat", b"hello", "file; here stand arrays of numbers that numpy saved"),
    ],
)
def test_other_files_get_no_unsafe_advice(write, tmp_path, name, content, words):
    (tmp_path / name).write_bytes(content)
    text = SUITE.replace("{file: data.npz, array: images, scale: 0.5, offset: -1}", f"{{file: {name}}}")
    with pytest.raises(ConfigError, match=words) as caught:
        load_suite(write(text)).load_data()
    assert "pickle=" not in str(caught.value)


def test_the_suite_may_be_the_first_of_a_file(write):
    suite = load_suite(write(SUITE.replace("images: images", "first: 4")))
    assert suite.load_data().places.tolist() == [0, 1, 2, 3]
    assert set(suite.load_data(2).places) < {0, 1, 2, 3}
    with pytest.raises(ConfigError, match=r'"first: 7", but data.npz\[images\] has only 6 inputs'):
        load_suite(write(SUITE.replace("images: images", "first: 7"))).load_data()


def test_missing_data_and_too_many_samples(write, tmp_path):
    suite = load_suite(write())
    everything = suite.load_data(7)
    assert (len(everything), everything.asked) == (6, 7)
    assert everything.digest() == suite.load_data().digest()
    with pytest.raises(ConfigError, match="at least 1 sample"):
        suite.load_data(0)
    (tmp_path / "data.npz").unlink()
    with pytest.raises(ConfigError, match="there is no such file"):
        suite.load_data()


def test_several_arrays_need_a_name(write):
    suite = load_suite(write(SUITE.replace("array: images, ", "")))
    with pytest.raises(ConfigError, match='say which with "array:": images, labels'):
        suite.load_data()
