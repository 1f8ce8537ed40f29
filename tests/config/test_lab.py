from __future__ import annotations

import pytest
from pydantic import ValidationError

from harness.boards.backends import emulated_kinds, without_emulator
from harness.config import Lab, Region, shipped_kinds
from harness.errors import ConfigError

TWO_BOARDS = """\
devices:
  bench-a:
    kind: nano33
    probe: "0240"
    port: {serial: "ABC"}
    tags: [bench, vision]
  bench-b:
    kind: nano33
    port: {location: "1-1.2"}
    tags: [bench]
    voltage_v: 3.3
  twin:
    kind: nano33
"""
TINY_KIND = "{title: x, mcu: x, pyocd_target: x, clock_hz: 1, flash: {start: 0, size: 1}, ram: {start: 0, size: 1}}"


def lab(tmp_path, text):
    path = tmp_path / "devices.yaml"
    path.write_text(text)
    return Lab.load(path)


def test_nano33_ships_as_the_datasheet_says():
    kind = shipped_kinds()["nano33"]
    assert (kind.mcu, kind.pyocd_target, kind.clock_hz, kind.baud) == ("nRF52840", "nrf52840", 64_000_000, 1_000_000)
    assert (kind.flash.start, kind.flash.end) == (0x10000, 0x100000)
    assert (kind.ram.start, kind.ram.size) == (0x20000000, 256 * 1024)
    assert kind.twin == "nrf52840"


def test_region_contains():
    region = Region(start=16, size=16)
    assert region.contains(16, 16)
    assert not region.contains(15)
    assert not region.contains(31, 2)


def test_models_are_frozen():
    with pytest.raises(ValidationError):
        shipped_kinds()["nano33"].baud = 1


@pytest.mark.parametrize(
    ("selectors", "names"),
    [
        (["bench-b"], ["bench-b"]),
        (["bench"], ["bench-a", "bench-b"]),
        (["nano33"], ["bench-a", "bench-b", "twin"]),
        (["all"], ["bench-a", "bench-b", "twin"]),
        (["bench-b", "bench", "vision"], ["bench-b", "bench-a"]),
    ],
)
def test_select(tmp_path, selectors, names):
    assert [device.name for device in lab(tmp_path, TWO_BOARDS).select(selectors)] == names


def test_what_a_device_says(tmp_path):
    first, second, third = lab(tmp_path, TWO_BOARDS).devices
    assert (first.probe, first.port.serial, first.port.location) == ("0240", "ABC", None)
    assert (second.probe, second.port.location, second.voltage_v) == (None, "1-1.2", 3.3)
    assert [device.hardware for device in (first, second, third)] == [True, True, False]


def test_a_kind_needs_no_devices_yaml():
    (device,) = Lab.load(None).select(["nano33"])
    assert (device.name, device.kind.name, device.hardware) == ("nano33", "nano33", False)


def test_a_shipped_kind_can_be_corrected_and_a_new_one_added(tmp_path):
    text = """\
boards:
  nano33: {baud: 115200}
  mine:
    title: My board
    mcu: STM32F401
    pyocd_target: stm32f401xe
    clock_hz: 84000000
    flash: {start: 0x08000000, size: 0x80000}
    ram: {start: 0x20000000, size: 0x18000}
"""
    loaded = lab(tmp_path, text)
    (nano,), (mine,) = loaded.select(["nano33"]), loaded.select(["mine"])
    assert (nano.kind.baud, nano.kind.clock_hz) == (115200, 64_000_000)
    assert (mine.kind.twin, mine.kind.flash.start) == (None, 0x08000000)
    assert shipped_kinds()["nano33"].baud == 1_000_000


@pytest.mark.parametrize(
    ("selector", "words"),
    [
        ("nano", 'no device, kind or tag is called "nano"; did you mean "nano33"?'),
        ("zebra", "Devices ({path}): bench-a, bench-b, twin. Kinds: b_l475e_iot01a, "),
        ("zebra", ", nano33, nrf52840dk, nucleo_h743zi, nucleo_l4r5zi, pico, uno. Tags: bench, vision."),
        ("", 'is called ""'),
    ],
)
def test_an_unknown_device_lists_what_is_known(tmp_path, selector, words):
    with pytest.raises(ConfigError) as caught:
        lab(tmp_path, TWO_BOARDS).select([selector])
    assert words.format(path=tmp_path / "devices.yaml") in str(caught.value)


def test_all_without_devices(tmp_path):
    with pytest.raises(ConfigError, match=r"there are none\. .*Kinds: .*nano33.* --backend virtual` takes every kind"):
        Lab.load(None).select(["all"])
    kinds = Lab.load(None).kinds
    assert emulated_kinds(kinds, "auto") == emulated_kinds(kinds, "hardware") == ()
    emulated = emulated_kinds(kinds, "virtual")
    twins = {kind.name for kind in kinds if kind.twin}
    assert set(emulated_kinds(kinds, "renode")) < set(emulated) == twins - set(without_emulator(kinds, "virtual"))
    assert [device.name for device in Lab.load(None).select(["all"], emulated)] == list(emulated)
    assert [device.kind.name for device in lab(tmp_path, TWO_BOARDS).select(["all"], emulated)] == ["nano33"] * 3


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("devices:\n  a:\n    kind: nano33\n    prob: x\n", 4, 'devices.a.prob: unknown key; did you mean "probe"?'),
        ("devises: {}\n", 1, 'devises: unknown key; did you mean "devices"?'),
        ("devices:\n  a: {}\n", 2, "devices.a.kind: is missing"),
        ("devices:\n  a:\n", 2, "devices.a: must be a mapping (key: value), not nothing"),
        ("devices:\n  a:\n    kind: nano3\n", 3, 'no kind is called "nano3"; did you mean "nano33"?'),
        ("devices:\n  a:\n    kind: nano33\n    probe: 0240\n", 4, "must be text, not 160; write it in quotes"),
        ("devices:\n  a:\n    kind: nano33\n    port: {}\n", 4, 'devices.a.port: give "serial"'),
        (
            "devices:\n  a:\n    kind: nano33\n    tags: bench\n",
            4,
            "devices.a.tags: must be a list: [...], not 'bench'",
        ),
        ("devices:\n  a b:\n    kind: nano33\n", 2, "devices.a b.name: String should match pattern"),
        ("devices:\n  all:\n    kind: nano33\n", 2, '"all" means every device'),
        ("devices:\n  a:\n    kind: nano33\n    voltage_v: -1\n", 4, "must be greater than 0, not -1"),
        ("devices: [a]\n", 1, "devices: must be a valid dictionary"),
        ("boards:\n  nano33: {clock_hz: fast}\n", 2, "boards.nano33.clock_hz: must be a valid integer"),
        ("boards:\n  new: {title: x}\n", 2, "boards.new.mcu: is missing"),
        ("boards:\n  nano33:\n    flash: {start: 0, size: 0}\n", 3, "boards.nano33.flash.size: must be greater"),
        (
            f"boards: {{mine: {TINY_KIND}}}\ndevices:\n  mine:\n    kind: nano33\n",
            3,
            "is the name of a kind, but this is a nano33",
        ),
        (
            "devices:\n  a: {kind: nano33, probe: x}\n  b: {kind: nano33, probe: x}\n",
            3,
            "devices.b.probe: is the same as that of a",
        ),
        (
            "devices:\n  a: {kind: nano33, probe: 0240abcd}\n  b: {kind: nano33, probe: 0240ABCD}\n",
            3,
            "devices.b.probe: is the same as that of a",
        ),
    ],
)
def test_bad_devices(tmp_path, text, line, words):
    with pytest.raises(ConfigError) as caught:
        lab(tmp_path, text)
    first = str(caught.value).splitlines()[0]
    assert first.startswith(f"{tmp_path / 'devices.yaml'}:{line}: ")
    assert words in str(caught.value)


def test_many_errors_are_cut_short(tmp_path):
    text = "boards:\n  new: {baud: 0}\n"
    with pytest.raises(ConfigError) as caught:
        lab(tmp_path, text)
    assert str(caught.value).splitlines()[-1] == "... and 1 more"
    assert len(str(caught.value).splitlines()) == 6


def test_a_missing_file():
    with pytest.raises(ConfigError, match="there is no such file"):
        Lab.load("nowhere/devices.yaml")


@pytest.mark.parametrize(
    ("text", "instead"),
    [
        ("farm: labgrid\n", "`labgrid: PLACE`"),
        ("farm: {engine: local}\n", "`labgrid: PLACE`"),
        ("farm: {reservations: {max_hours: 2}}\n", "`calendar: FILE or URL`"),
        ("devices: {a: {kind: nano33, place: b}}\n", "`labgrid: PLACE` names the place"),
    ],
)
def test_keys_that_are_gone_say_what_came_instead(tmp_path, text, instead):
    (tmp_path / "devices.yaml").write_text(text)
    with pytest.raises(ConfigError, match="is gone") as caught:
        Lab.load(tmp_path / "devices.yaml")
    assert instead in str(caught.value)


def test_paths_under_farm_are_taken_from_where_the_file_lies(tmp_path):
    keys = ("state", "store", "site", "certificates", "calendar")
    (tmp_path / "devices.yaml").write_text(f"farm: {{{', '.join(f'{key}: there/{key}' for key in keys)}}}\n")
    farm = Lab.load(tmp_path / "devices.yaml").farm
    assert {str(getattr(farm, key)) for key in keys} == {str(tmp_path / "there" / key) for key in keys}
    (tmp_path / "devices.yaml").write_text("farm: {calendar: 'webcal://lab/a.ics', store: 's3://bucket'}\n")
    farm = Lab.load(tmp_path / "devices.yaml").farm
    assert (farm.calendar, farm.store) == ("webcal://lab/a.ics", "s3://bucket")


def test_a_board_that_pyocd_does_not_know_is_flashed_through_its_port(tmp_path):
    text = 'devices:\n  u: {kind: uno, port: {serial: "7"}}\n'
    (device,) = lab(tmp_path, text).devices
    assert (device.flasher, device.link) == ("avrdude", "uart")
    with pytest.raises(ConfigError, match=r"devices\.u\.probe: pyOCD knows no ATmega328P; give its `port` instead"):
        lab(tmp_path, text.replace("port: {serial: ", "probe: ").replace("}}", "}"))
    with pytest.raises(ConfigError, match=r"a nano33 has no bootloader that avrdude knows"):
        lab(tmp_path, 'devices:\n  n: {kind: nano33, port: {serial: "7"}, flasher: avrdude}\n')
