from __future__ import annotations

import stat

import pytest
import yaml

from harness.config import Lab
from harness.config.document import read_document
from harness.config.edit import add_device, device_yaml
from harness.errors import ConfigError

ENTRY = {"kind": "nano33", "probe": "0012", "port": {"serial": "1e5"}}
ADDED = '  new:\n    kind: nano33\n    probe: "0012"  # a probe\n    port: {serial: "1e5"}\n'


def add(path, name="new"):
    add_device(path, name, ENTRY, {"probe": "a probe"})
    return path.read_bytes().decode()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "devices:\n" + ADDED),
        ("# only a comment\n", "# only a comment\ndevices:\n" + ADDED),
        ("# lab\ndevices: {}\n", "# lab\ndevices:\n" + ADDED),
        ("devices: {}  # none yet\n# end\n", "devices:  # none yet\n" + ADDED + "# end\n"),
        ("devices:\n", "devices:\n" + ADDED),
        ("devices: null", "devices:\n" + ADDED),
        ("devices: {}\n...\n", "devices:\n" + ADDED + "...\n"),
        ("devices:", "devices:\n" + ADDED),
        ("boards:\n  nano33: {baud: 9600}", "boards:\n  nano33: {baud: 9600}\ndevices:\n" + ADDED),
        (
            "devices:\n  a:  # first\n    kind: nano33  # kept\n\n# boards\nboards:\n  nano33: {baud: 9600}\n",
            "devices:\n  a:  # first\n    kind: nano33  # kept\n"
            + ADDED
            + "\n# boards\nboards:\n  nano33: {baud: 9600}\n",
        ),
        ("devices:\n  a: {kind: nano33}", "devices:\n  a: {kind: nano33}\n" + ADDED),
        (
            "devices:\n  a:\n    tags:\n    - x\n    kind: nano33\n  b:\n    kind: nano33\n    tags: # w\n    - z\n",
            "devices:\n  a:\n    tags:\n    - x\n    kind: nano33\n  b:\n    kind: nano33\n    tags: # w\n    - z\n"
            + ADDED,
        ),
        ("\ufeffdevices: {}\r\n# end\r\n", "\ufeff" + ("devices:\n" + ADDED + "# end\n").replace("\n", "\r\n")),
    ],
)
def test_a_device_is_added_and_all_else_stays(tmp_path, before, after):
    path = tmp_path / "devices.yaml"
    path.write_bytes(before.encode())
    assert add(path) == after
    device = Lab.load(path).select(["new"])[0]
    assert (device.probe, device.port.serial) == ("0012", "1e5")
    assert [file.name for file in tmp_path.iterdir()] == ["devices.yaml"]


def test_the_indentation_of_the_file_is_kept(tmp_path):
    path = tmp_path / "devices.yaml"
    path.write_text("devices:\n      a: {kind: nano33}\n")
    assert "\n      new:\n        kind: nano33\n" in add(path)


def test_a_missing_file_is_begun(tmp_path):
    path = tmp_path / "devices.yaml"
    assert add(path).endswith("devices:\n" + ADDED)
    assert stat.S_IMODE(path.stat().st_mode) & 0o444


def test_a_link_stays_a_link_and_the_mode_stays(tmp_path):
    real = tmp_path / "real.yaml"
    real.write_text("devices: {}\n")
    real.chmod(0o640)
    link = tmp_path / "devices.yaml"
    link.symlink_to(real)
    add(link)
    assert link.is_symlink()
    assert stat.S_IMODE(real.stat().st_mode) == 0o640
    assert Lab.load(real).devices[0].name == "new"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("devices: {a: {kind: nano33}}\n", "add the device by hand"),
        ("{devices: {}}\n", "add the device by hand"),
        ("devices:\n  new: {kind: nano33}\n", "has a device called new already"),
        ("devices:\n  a: {kind: nano33, probe: '0012'}\n", "is the same as that of a"),
        ("devices:\n  a: {kind: nano99}\n", "nano99"),
    ],
)
def test_a_file_that_cannot_take_it_is_left_alone(tmp_path, text, words):
    path = tmp_path / "devices.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=words):
        add(path)
    assert path.read_text() == text
    assert [file.name for file in tmp_path.iterdir()] == ["devices.yaml"]


@pytest.mark.parametrize(
    "text", ["[", "*x", "!!int ''", "!!bool x", "a: b", "yes", "1e3", "2026-01-01", "<<", "=", "~", "a\nb"]
)
def test_whatever_a_usb_device_calls_itself_stays_that_text(tmp_path, text):
    path = tmp_path / "devices.yaml"
    add_device(path, "bench-1", {"kind": "nano33", "probe": text}, {})
    assert read_document(path).data["devices"]["bench-1"]["probe"] == text
    assert yaml.safe_load(device_yaml(text, {"kind": text}, {})) == {text: {"kind": text}}
