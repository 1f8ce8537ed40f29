"""Whatever a configuration file holds, it is read, or refused with the file's name in a few lines."""

from __future__ import annotations

import pytest

from fuzzing import amounts, fuzz, spoil
from harness.config import Lab, load_suite
from harness.config.nightly import load_nightly
from harness.errors import ConfigError
from harness.report.gate import NIGHTLY_PARSERS
from harness.search.space import load_space

SPACE = """
model: {make: "python make.py {width}", file: m.tflite}
suite: suite.yaml
parameters: {width: [8, 16], depth: {min: 1, max: 4}}
"""
DEVICES = """
devices:
  one: &one {kind: nano33, probe: "0240", port: {serial: "9A8B"}, tags: [bench]}
  two: {<<: *one, probe: "usb:1-1.2", port: {location: "1-1.2", dtr: true}, power: {monitor: ppk2}}
boards:
  nano33: {baud: 115200}
farm: {calendar: lab.ics, labgrid: {coordinator: "lab:20408"}, health: {}}
"""
#: What YAML 1.1 has more than one meaning for, and what its readers stumbled over.
PIECES = (
    *("a", "k: ", "- ", "? ", ": ", "\n", "\n  ", "\n    ", " ", ", ", "[", "]", "{", "}", "&x ", "*x", "<<: ", "#"),
    *("!!int ", "!!float ", "!!bool ", "!!null ", "!!timestamp ", "!!binary ", "!!set ", "!!str ", "!x ", "!<", "|\n"),
    *("%YAML 1.1\n", "---\n", "...\n", "yes", "~", "0x", "0b1", "1:60", "1_0", ".inf", ".nan", "1e999", "1.0e+999"),
    *("2026-13-45", "9" * 400, ">\n", "'", '"', "\\", "\t", "\0", "\x1b[2J", "\ud7ff", "\ufeff", "=", "@", "`"),
    *("devices", "suites", "kind: nano33", "variants: "),
)


@pytest.fixture(scope="module")
def readers(root):
    """Return what reads each kind of file, and one that it can read."""
    return {
        "devices": (Lab.load, DEVICES.encode()),
        "suite": (load_suite, (root / "suites" / "japanese_vowels.yaml").read_bytes()),
        "nightly": (
            lambda path: load_nightly(path, NIGHTLY_PARSERS),
            (root / "examples" / "nightly" / "nightly.yaml").read_bytes(),
        ),
        "search": (load_space, SPACE.encode()),
    }


def attempt(path, reader, content):
    path.write_bytes(content)
    said = str(path)
    try:
        reader(path)
    except ConfigError as error:
        said = str(error)
    assert said.startswith(str(path.parent))
    assert len(said) < 4000


@pytest.mark.parametrize("kind", ["devices", "suite", "nightly", "search"])
@amounts(quick=150, many=1500)
def test_a_damaged_file_is_read_or_refused(tmp_path, readers, kind, cases):
    reader, good = readers[kind]
    fuzz(cases, lambda chance: attempt(tmp_path / "a.yaml", reader, spoil(chance, (good,))))


@amounts(quick=500, many=5000)
def test_made_up_yaml_is_read_or_refused(tmp_path, readers, cases):
    def check(chance):
        reader, good = readers[chance.choice(sorted(readers))]
        text = "".join(chance.choices(PIECES, k=chance.randint(1, 30)))
        if chance.random() < 0.5:  # in the place of some value
            before, mark, _ = good.decode().partition(": ")
            text = before + mark + text
        attempt(tmp_path / "a.yaml", reader, text.encode())

    fuzz(cases, check)
