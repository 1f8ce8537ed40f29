from types import SimpleNamespace

import pytest

from harness.config import Lab
from harness.errors import ConfigError, PowerError
from harness.power.opening import find_monitor, open_monitor
from harness.power.ppk2 import USB_ID

POWER = "{{monitor: ppk2, voltage_v: 3.0{0}}}"


def port(serial, location, *, device="/dev/x", usb=USB_ID):
    return SimpleNamespace(vid=usb[0], pid=usb[1], serial_number=serial, location=location, device=device)


def lab(tmp_path, *supplies):
    path = tmp_path / "devices.yaml"
    lines = [f"  d{n}:\n    kind: nano33\n    power: {text}" for n, text in enumerate(supplies)]
    path.write_text("devices:\n" + "\n".join(lines) + "\n")
    return Lab.load(path)


def test_a_monitor_is_found_by_its_serial_number():
    ports = [port("AAAA", "1-1:1.1", device="a"), port("BBBB", "1-2:1.1", device="b"), port("C", "1-3", usb=(1, 2))]
    assert find_monitor("ppk2", USB_ID, "BBBB", ports).path == "b"


def test_the_first_of_a_monitors_two_ports_is_used():
    ports = [port("AAAA", "1-1:1.3", device="second"), port("AAAA", "1-1:1.1", device="first")]
    assert find_monitor("ppk2", USB_ID, None, ports).path == "first"


def test_a_missing_monitor_says_what_is_there():
    with pytest.raises(PowerError, match=r"no ppk2 BBBB is attached \(ppk2 monitors on this computer: AAAA\)"):
        find_monitor("ppk2", USB_ID, "BBBB", [port("AAAA", "1-1")])
    with pytest.raises(PowerError, match="on this computer: none"):
        find_monitor("ppk2", USB_ID, None, [])


def test_two_monitors_need_a_choice():
    with pytest.raises(PowerError, match=r"2 power monitors could be meant .* say which one with `serial:`"):
        find_monitor("ppk2", USB_ID, None, [port("AAAA", "1-1"), port("BBBB", "1-2")])


def test_two_monitors_with_one_serial_number_are_refused():
    with pytest.raises(PowerError, match=r"AAAA at 1-1, AAAA at 1-2\); two monitors with the same serial number"):
        find_monitor("ppk2", USB_ID, "AAAA", [port("AAAA", "1-1"), port("AAAA", "1-2")])


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        (', serial: "A"', ', serial: "A"', r"devices\.d1\.power\.serial: is the same as that of d0"),
        ("", "", r"devices\.d1\.power: needs its serial number, as d0 has a ppk2 without, too"),
    ],
)
def test_two_devices_on_one_monitor_are_refused(tmp_path, first, second, message):
    with pytest.raises(ConfigError, match=message):
        lab(tmp_path, POWER.format(first), POWER.format(second))


def test_simulated_monitors_are_as_many_as_one_likes(tmp_path):
    assert len(lab(tmp_path, *[POWER.format(", simulated: true")] * 2).devices) == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{monitor: ppk, voltage_v: 3}", r"power\.monitor: must be 'ppk2', 'lpm01a'"),
        ("{monitor: ppk2}", r"power\.voltage_v: is missing"),
        ("{monitor: ppk2, voltage_v: 9}", "a ppk2 works up to 5 V, not 9 V"),
        ("{monitor: lpm01a, voltage_v: 1.2}", "1.8 to 3.3 V"),
        ("{monitor: ppk2, voltage_v: 3, sync_input: 8}", "sync_input"),
        ("{monitor: joulescope, voltage_v: 3, simulated: true}", "there is no simulated joulescope"),
        ('{monitor: ppk2, voltage_v: 3, simulated: true, serial: "A"}', "has no"),
        ("{monitor: ppk2, voltage_v: 3, sample_rate_hz: 1000}", "one sample rate"),
        ("{monitor: ppk2, voltage_v: 3, window: 3}", 'unknown key; did you mean "windows"'),
    ],
)
def test_mistakes_in_the_power_key_are_named(tmp_path, text, message):
    with pytest.raises(ConfigError, match=message):
        lab(tmp_path, text)


def test_a_real_monitor_does_not_measure_a_virtual_board(tmp_path, board):
    supply = lab(tmp_path, POWER.format("")).devices[0].power
    with pytest.raises(PowerError, match=r"the virtual board draws no current .* `simulated: true`"):
        open_monitor(supply, board)


def test_a_simulated_monitor_does_not_measure_a_real_board(tmp_path):
    supply = lab(tmp_path, POWER.format(", simulated: true")).devices[0].power
    real = SimpleNamespace(name="bench", backend="hardware")
    with pytest.raises(PowerError, match="bench: a simulated ppk2 sees virtual boards only, not a real one"):
        open_monitor(supply, real)
