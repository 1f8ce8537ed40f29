"""Every form of inputs and labels, read by a suite, against arrays that were made without the readers."""

from __future__ import annotations

import re
import sys
import wave

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from pyarrow import parquet

import harness
from harness.config import load_suite
from harness.errors import ConfigError, ImageError
from harness.farm.order import pack
from harness.image.input_tensors import input_tensors
from harness.image.model_card import TensorSpec

SUITE = """\
task: made_up
inputs: {inputs}
labels: {labels}
classes: [cat, ant]
variants: {{a: {{image: a, technique: none}}}}
"""
RANDOM = np.random.default_rng(0)
NOISE = RANDOM.integers(-32768, 32767, (3, 4000), np.int16, endpoint=True)  # of ant/c, cat/a and cat/b
PICTURES = RANDOM.integers(0, 256, (3, 6, 8, 3), np.uint8)


@pytest.fixture
def suite(tmp_path):
    """Return a function that writes a suite with some inputs and labels, in a folder that has files of every form."""
    for name, samples in zip(("ant/c.wav", "cat/a.WAV", "cat/b.wav"), NOISE, strict=True):
        write_wav(tmp_path / "sounds" / name, samples)
    for name, pixels in zip(("ant/c.png", "cat/a.bmp", "cat/b.PNG"), PICTURES, strict=True):
        (tmp_path / "pictures" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(tmp_path / "pictures" / name)
    (tmp_path / "sounds/cat/.DS_Store").write_text("what a Mac leaves behind")
    (tmp_path / "sounds/README").write_text("of the whole folder")
    (tmp_path / "some.csv").write_text("file,class\ncat/b.wav,cat\nant/c.wav, ant\n")
    (tmp_path / "table.csv").write_text("x0,x1,name,class\n1,-2,a,cat\n3.5,4,b,ant\n5,6,c,cat\n")
    columns = {"wave": [[1, 2], [3, 4], [5, 6]], "n": pa.array([7, 8, 9], pa.int8()), "class": [0, 1, 0]}
    parquet.write_table(pa.table(columns), tmp_path / "table.parquet")
    (tmp_path / "my_inputs.py").write_text(
        "import numpy\ndef whole(): return numpy.arange(6.0).reshape(3, 2)\ndef labels(): return [1, 0, 1]\n"
        "def pairs():\n  for n in range(3): yield numpy.full(4, n), n % 2\n"
        "def uneven():\n  for n in range(1, 3): yield numpy.zeros(n)\n"
        "def endless():\n  while True: yield numpy.zeros(2**27)\ndef broken(): raise KeyError('fold')\n"
    )

    def write(inputs, labels="from inputs", more=""):
        path = tmp_path / "suite.yaml"
        path.write_text(SUITE.format(inputs=inputs, labels=labels) + more)
        return load_suite(path)

    return write


def write_wav(path, samples, rate=8000, channels=1):
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setparams((channels, samples.dtype.itemsize, rate, 0, "NONE", ""))
        file.writeframes(samples.tobytes())


WAV = "{wav: sounds, rate: 8000, seconds: 0.5, more: 0}"
PNG = "{images: pictures, size: [6, 8], color: rgb, more: 0}"
GREY = np.stack([np.asarray(Image.fromarray(pixels).convert("L")) for pixels in PICTURES])
SMALL = np.stack([np.asarray(Image.fromarray(p[:, 1:7]).resize((3, 3), Image.Resampling.BOX)) for p in PICTURES])
BY_CLASS, CSV = [1, 0, 0], "{csv: table.csv, columns: class}"
FORMS = [
    (WAV, "from inputs", NOISE / 32768, BY_CLASS),
    (WAV.replace("0.5", "0.25, longer: center"), "from inputs", NOISE[:, 1000:3000] / 32768, BY_CLASS),
    (WAV.replace("0.5", "0.75, shorter: pad"), "from inputs", np.pad(NOISE, ((0, 0), (0, 2000))) / 32768, BY_CLASS),
    (WAV.replace("more: 0", "list: some.csv, scale: 2"), "from inputs", NOISE[[2, 0]] / 16384, [0, 1]),
    (PNG, "from inputs", PICTURES, BY_CLASS),
    (PNG.replace("rgb", "grey, scale: 0.5, offset: -1"), "from inputs", GREY / 2 - 1, BY_CLASS),
    (PNG.replace("[6, 8]", "[4, 4], crop: center"), "from inputs", PICTURES[:, 1:5, 2:6], BY_CLASS),
    (PNG.replace("[6, 8]", "[3, 3], crop: center, resize: box"), "from inputs", SMALL, BY_CLASS),
    ("{csv: table.csv, columns: [x0, x1]}", CSV, [[1, -2], [3.5, 4], [5, 6]], [0, 1, 0]),
    (
        '{csv: table.csv, columns: ["x*"]}',
        "{parquet: table.parquet, columns: class}",
        [[1, -2], [3.5, 4], [5, 6]],
        [0, 1, 0],
    ),
    ("{parquet: table.parquet, columns: wave}", CSV, [[1, 2], [3, 4], [5, 6]], [0, 1, 0]),
    ("{parquet: table.parquet, columns: [n, class]}", CSV, [[7, 0], [8, 1], [9, 0]], [0, 1, 0]),
    ('{python: "my_inputs:whole"}', '{python: "my_inputs:labels"}', np.arange(6).reshape(3, 2), [1, 0, 1]),
    ('{python: "my_inputs:pairs"}', "from inputs", np.arange(3)[:, np.newaxis] * np.ones(4), [0, 1, 0]),
]


@pytest.mark.parametrize(("inputs", "labels", "expected", "classes"), FORMS)
def test_a_form_gives_these_values(suite, inputs, labels, expected, classes):
    there = suite(inputs.replace(", more: 0", ""), labels)
    data = there.load_data()
    np.testing.assert_array_equal(data.real(), np.asarray(expected, np.float32))
    assert (data.labels.dtype, data.labels.tolist()) == (np.int64, classes)
    # A worker on another host gets arrays, of the same digest.
    packed = pack(there)
    (there.path.parent / "data.npz").write_bytes(packed.content)
    moved = there.model_copy(update=dict(packed.sources))
    assert moved.load_data().digest() == data.digest()


def test_folders_name_the_classes_of_a_suite_that_names_none(suite):
    path = suite(WAV.replace(", more: 0", "")).path
    path.write_text(path.read_text().replace("classes: [cat, ant]\n", ""))
    loaded = load_suite(path)
    assert (loaded.classes, loaded.load_data().labels.tolist()) == (("ant", "cat"), [0, 1, 1])


def test_values_and_groups_from_a_table(suite):
    path = suite("{parquet: table.parquet, columns: wave}", "{csv: table.csv, columns: [x0]}").path
    more = "metric: mae\ngroups: {csv: table.csv, columns: class}\n"
    path.write_text(path.read_text().replace("classes: [cat, ant]\n", more))
    data = load_suite(path).load_data()
    assert (data.labels.dtype, data.labels.tolist()) == (np.float64, [[1], [3.5], [5]])
    assert data.groups.tolist() == [1, 0, 1]  # cat, ant, cat: by their sorted names
    path.write_text(path.read_text().replace("[x0]", "x0"))
    assert load_suite(path).load_data().labels.tolist() == [1, 3.5, 5]


def test_a_channel_of_a_file_with_eight_bits(suite, tmp_path):
    both = RANDOM.integers(0, 256, (4000, 2), np.uint8)
    write_wav(tmp_path / "stereo/ant/x.wav", both, channels=2)
    data = suite("{wav: stereo, rate: 8000, seconds: 0.5, channel: 1}").load_data()
    np.testing.assert_array_equal(data.real()[0], (both[:, 1] - 128.0) / 128)


def bad(content, name="sounds/cat/x.wav"):
    """Return what a test puts into the folder."""

    def put(folder):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
        elif isinstance(content, Image.Image):
            content.save(path, **content.info)
        else:
            write_wav(path, *content)

    return put


def turned(folder):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(PICTURES[0]).save(folder / "pictures/cat/x.jpg", exif=exif)


GOOD = NOISE[0]
CLEAR = Image.fromarray(np.dstack([PICTURES[0], np.full((6, 8), 9, np.uint8)]))
DEEP = Image.fromarray(np.zeros((6, 8), np.uint16))


@pytest.mark.parametrize(
    ("inputs", "put", "words"),
    [
        (WAV, bad((GOOD, 16000)), "x.wav has 16000 samples per second, not 8000"),
        (
            WAV,
            bad((GOOD[:3999],)),
            'x.wav has 3,999 samples (0.499875 s), not 4,000 (0.5 s); the suite may say "shorter',
        ),
        (WAV, bad((GOOD, 8000, 2)), 'x.wav has 2 channels, not 1; the suite may say "channel: 0"'),
        (WAV, bad((GOOD.astype(np.int32),)), "x.wav has 32 bits, not 16 or 8"),
        (WAV, bad((GOOD[:0],)), "x.wav has no samples"),
        (WAV, bad(b""), "x.wav can't be read as a WAV file: it is cut off"),
        (WAV, bad(b"no sound at all"), "x.wav can't be read as a WAV file"),
        (WAV, bad(b"ID3", "sounds/cat/x.mp3"), "x.mp3: not one of .wav"),
        (WAV, bad((GOOD,), "sounds/dog/x.wav"), 'dog: "dog" is none of the suite\'s classes; known: cat, ant'),
        (WAV, lambda folder: (folder / "sounds/dog").mkdir(), '"dog" is none of the suite\'s classes'),
        (
            WAV.replace("sounds", "dogs"),
            lambda folder: (folder / "dogs/ant").mkdir(parents=True),
            "ant: this class has no files",
        ),
        (WAV.replace("sounds", "sound"), None, "sound: there is no such folder"),
        (
            WAV.replace("more: 0", "list: list.csv"),
            bad(b"ant/c.wav,ant\nant/d.wav,ant", "list.csv"),
            "list.csv:2: there is no file",
        ),
        (WAV.replace("more: 0", "list: list.csv"), bad(b"ant/c.wav,dog", "list.csv"), 'list.csv:1: "dog" is none of'),
        (WAV.replace("more: 0", "list: list.csv"), bad(b"ant/c.wav", "list.csv"), "list.csv:1: must be file,class"),
        (WAV.replace("more: 0", "list: list.csv"), bad(b"\n", "list.csv"), "list.csv is empty"),
        (
            PNG,
            bad(Image.fromarray(PICTURES[0, :5]), "pictures/cat/x.png"),
            "x.png has 5 x 8 pixels (height x width), not 6 x 8",
        ),
        (PNG, bad(b"\x89PNG cut off", "pictures/cat/x.png"), "x.png can't be read as PNG, JPEG or BMP"),
        (PNG, bad(CLEAR, "pictures/cat/x.png"), "x.png is transparent in places"),
        (PNG, bad(DEEP, "pictures/cat/x.png"), "x.png has pixels of Pillow's mode I;16"),
        (PNG, turned, "x.jpg is to be turned by its EXIF orientation"),
        ("{csv: t.csv}", bad(b"1,2\n3,4\n", "t.csv"), "its first line holds numbers, not names"),
        ("{csv: t.csv}", bad(b"a,b\n1,2\n3,\n", "t.csv"), "t.csv: column b, row 1 is empty"),
        ("{csv: t.csv}", bad(b"a,b\n1,2\n3,x\n", "t.csv"), 't.csv: column b, row 1: "x" is no number'),
        ("{csv: t.csv}", bad(b"a,b\n1,2\n3\n", "t.csv"), "t.csv can't be read as CSV"),
        ("{csv: t.csv, columns: c}", bad(b"ab,cd\n1,2\n", "t.csv"), 't.csv has no column "c"; did you mean'),
        ("{csv: t.csv}", bad(b"a,b\n", "t.csv"), "t.csv has no rows"),
        ("{parquet: t}", bad(b"PAR1 no more", "t"), "t can't be read as Parquet"),
        ('{python: "my_inputs:uneven"}', None, "input 1 has shape (2,), but the first one (1,)"),
        ('{python: "my_inputs:endless"}', None, "are read; use fewer"),
        ('{python: "my_inputs:broken"}', None, "my_inputs:broken failed: KeyError: 'fold'"),
        ('{python: "my_input:whole"}', None, "my_input:whole can't be imported: ModuleNotFoundError"),
        ('{python: "my_inputs:whole"}', None, 'has no labels of its own, as "labels: from inputs" says'),
    ],
)
def test_what_is_wrong_is_named(suite, tmp_path, inputs, put, words):
    if put is not None:
        put(tmp_path)
    with pytest.raises(ConfigError) as caught:
        suite(inputs.replace(", more: 0", "")).load_data()
    assert words in str(caught.value)
    assert str(caught.value).startswith(f"{tmp_path}/suite.yaml: ")
    assert "\n" not in str(caught.value)


def test_lists_of_unequal_length_in_a_parquet_file(suite, tmp_path):
    parquet.write_table(pa.table({"wave": [[1, 2], [3]]}), tmp_path / "uneven.parquet")
    with pytest.raises(ConfigError, match="column wave, row 1 has 1 values, but row 0 has 2"):
        suite("{parquet: uneven.parquet, columns: wave}").load_data()


def test_too_much_is_refused_before_it_is_read(suite, monkeypatch):
    monkeypatch.setattr("harness.data.arrays.MOST_BYTES", 23_999)
    with pytest.raises(ConfigError, match="3 inputs of 4000 values take 24,000 bytes, and at most 23,999 are read"):
        suite(WAV.replace(", more: 0", "")).load_data()


def test_images_without_pillow(suite, monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ConfigError, match=r'pictures: images are read by Pillow: pip install "tinyml-hil\[images\]"'):
        suite(PNG.replace(", more: 0", "")).load_data()


def test_what_takes_long_says_how_far_it_is(suite, monkeypatch, capsys):
    monkeypatch.setattr("harness.data.arrays._FIRST_S", -1.0)
    data = suite(WAV.replace(", more: 0", "")).load_data()
    assert len(data) == 3
    assert re.fullmatch(r"Reading \S+/sounds: 0 of 3\n", capsys.readouterr().err)


@pytest.mark.parametrize(
    ("old", "words"),
    [
        ("{wavs: sounds}", "inputs: needs one of the keys file, csv, parquet, images, wav, python, random"),
        ("{csv: a, file: b}", "inputs: file and csv are two sources"),
        ("{images: pictures, size: [6], color: rgb}", "inputs.size"),
        ("{wav: sounds, rate: 8000, seconds: 0.00001}", "are no whole number of samples"),
        ("{wav: sounds, rate: 8000, seconds: 1, scal: 2}", 'inputs.scal: unknown key; did you mean "scale"?'),
        ("{csv: a, quantized: true, scale: 2}", "already have the model's scale"),
    ],
)
def test_bad_keys(suite, old, words):
    with pytest.raises(ConfigError) as caught:
        suite(old)
    assert words in str(caught.value)
    assert "suite.yaml:2: inputs" in str(caught.value)


@pytest.mark.parametrize("scale", [0.0078125, 1 / 255, 1e-30, 3.7, 1e30])
@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16"])
def test_quantized_inputs_come_to_the_board_as_they_are(suite, tmp_path, scale, dtype):
    limits = np.iinfo(dtype)
    raw = np.arange(limits.min, limits.max + 1, dtype=dtype).reshape(-1, 4)
    np.savez(tmp_path / "raw.npz", raw=raw, labels=np.zeros(len(raw), int))
    data = suite("{file: raw.npz, array: raw, quantized: true}", "{file: raw.npz, array: labels}").load_data()
    spec = TensorSpec.model_construct(shape=(1, 4), dtype=dtype, scale=scale, zero_point=limits.min + 3)
    tensors = input_tensors(data, spec, None)
    assert tensors.dtype == dtype
    np.testing.assert_array_equal(tensors, raw)
    other = TensorSpec.model_construct(
        shape=(1, 4), dtype={"int8": "uint8"}.get(dtype, "int8"), scale=1.0, zero_point=0
    )
    with pytest.raises(ImageError, match=f"quantized inputs of {dtype} for a model whose input is {other.dtype}"):
        input_tensors(data, other, None)
    with pytest.raises(ImageError, match="whose input is float32; remove `quantized:`"):
        input_tensors(data, TensorSpec(shape=(1, 4), dtype="float32"), None)


def test_whole_numbers_of_a_table_must_fit_the_models_type(suite):
    data = suite("{parquet: table.parquet, columns: wave, quantized: true}", CSV).load_data()
    spec = TensorSpec(shape=(1, 2), dtype="int8", scale=0.1, zero_point=4)
    assert input_tensors(data, spec, None).tolist() == [[1, 2], [3, 4], [5, 6]]
    with pytest.raises(ConfigError, match="quantized inputs are whole numbers"):
        suite("{csv: table.csv, columns: [x0, x1], quantized: true}", CSV).load_data()


@pytest.mark.slow
def test_a_folder_of_images_runs_as_the_array_does(root, tmp_path):
    with np.load(root / "suites/data/fashion_mnist_test1000.npz") as kept:
        images, labels = kept["images"][:3], kept["labels"][:3]
    order = np.argsort(labels, kind="stable")
    for number in order:
        path = tmp_path / "photos" / str(labels[number]) / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(images[number]).save(path)
    np.savez(tmp_path / "arrays.npz", images=images[order], labels=labels[order])
    image = root / "firmware/prebuilt/nano33/fashion_mnist_student_int8.elf"
    runs = []
    for inputs, from_where in (
        ("{images: photos, size: [28, 28], color: grey, scale: 0.00392156862745098}", "from inputs"),
        ("{file: arrays.npz, array: images, scale: 0.00392156862745098}", "{file: arrays.npz, array: labels}"),
    ):
        path = tmp_path / "clothes.yaml"
        path.write_text(
            f"task: clothes\ninputs: {inputs}\nlabels: {from_where}\nclasses: {[str(n) for n in range(10)]}\n"
            f"variants: {{small: {{image: {image}, technique: int8}}}}\n"
        )
        results = harness.benchmark(path, backend="virtual", results_dir=tmp_path / "results")
        runs.append((results.cases.iloc[0], results.samples["prediction"].tolist()))
    (ours, predicted), (theirs, expected) = runs
    assert ours["status"] == "complete"
    assert (ours["inputs_sha256"], ours["accuracy"]) == (theirs["inputs_sha256"], theirs["accuracy"])
    assert predicted == expected
