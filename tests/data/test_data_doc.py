"""The examples of docs/data.md are read, from files as the page describes them."""

from __future__ import annotations

import re
import wave

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from pyarrow import csv, parquet

from harness.config import load_suite

SHAPES = {
    "file": (3, 4, 4),
    "csv": (3, 3),
    "parquet": (3, 5),
    "images": (2, 24, 32),
    "wav": (2, 8000),
    "front_end": (2, 24, 10),
    "list": (1, 8000),
    "python": (10, 64),
}


@pytest.fixture
def page(root):
    return (root / "docs" / "data.md").read_text()


@pytest.fixture
def folder(tmp_path, page):
    np.savez(tmp_path / "arrays.npz", images=np.ones((3, 4, 4), np.uint8), labels=[0, 1, 1])
    columns = {
        "temperature": [20.5, 21, 22],
        "acc_x": [1, 2, 3],
        "acc_y": [4, 5, 6],
        "state": ["rest", "walking", "running"],
    }
    csv.write_csv(pa.table(columns), tmp_path / "readings.csv")
    parquet.write_table(pa.table({"window": [[0.5] * 5] * 3, "state": columns["state"]}), tmp_path / "readings.parquet")
    for number, name in enumerate(("photos/cat/1.png", "photos/dog/2.jpg")):
        (tmp_path / name).parent.mkdir(parents=True)
        Image.fromarray(np.full((48 + number, 80, 3), 255, np.uint8)).save(tmp_path / name)
    for name in ("yes", "no"):
        (tmp_path / "sounds" / name).mkdir(parents=True)
        with wave.open(str(tmp_path / "sounds" / name / "1.wav"), "wb") as file:
            file.setparams((1, 2, 16000, 0, "NONE", ""))
            file.writeframes(b"\1\0" * 8000)
    (tmp_path / "test.csv").write_text("yes/1.wav,yes\n")
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    (tmp_path / "prepare.py").write_text(f"import numpy as np\n{code}")
    return tmp_path


def test_every_example_is_read(page, folder):
    found = {}
    for example in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL):
        path = folder / "suite.yaml"
        path.write_text(f"task: example\n{example}\nvariants: {{a: {{image: a, technique: none}}}}\n")
        suite = load_suite(path)
        form = next((key for key in ("front_end", "list") if getattr(suite.inputs, key, None)), suite.inputs.form)
        data = suite.load_data()
        found[form] = data.raw.shape
        assert len(data.labels) == len(data)
    assert found == SHAPES
