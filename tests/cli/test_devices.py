"""Discovery: `hil devices` and `hil devices --add`, on a USB bus that is data."""

from __future__ import annotations

import libusb_package
import pytest
from click.testing import CliRunner

from fakes.usb_bus import UsbBus
from harness.boards.backends import choose_backend
from harness.boards.discover import attached_ports, attached_probes, find_port, find_probe
from harness.boards.matching import candidates
from harness.boards.opening import open_board
from harness.boards.usb import usb_devices
from harness.cli import main
from harness.config import Lab
from harness.errors import LinkError, ProbeError

DAPLINK, NANO, BOOTLOADER, BRIDGE, DEBUG_PROBE, JLINK = (
    (0x0D28, 0x0204),
    (0x2341, 0x805A),
    (0x2341, 0x005A),
    (0x0403, 0x6001),
    (0x2E8A, 0x000C),
    (0x1366, 0x1015),
)


@pytest.fixture
def bus(monkeypatch):
    return UsbBus(monkeypatch)


@pytest.fixture
def hil(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(main, [str(argument) for argument in arguments])


def only_device(tmp_path):
    (device,) = Lab.load(tmp_path / "devices.yaml").devices
    return device


def of_kind(arguments):
    return arguments if "--kind" in arguments else (*arguments, "--kind", "nano33")


def added(hil, *arguments):
    result = hil("devices", "--add", *of_kind(arguments))
    assert result.exit_code == 0, result.output
    return result.output


def refused(hil, *arguments):
    result = hil("devices", "--add", *of_kind(arguments))
    assert result.exit_code == 1, result.output
    return result.output


def test_a_composite_probe_is_added_with_its_own_port(hil, bus, tmp_path):
    bus.plug("1-1.2", DEBUG_PROBE, "E6614", probe="Raspberry Pi Debug Probe", tty=["ttyACM0"])
    bus.plug("1-4", BRIDGE, "FT1", tty=["ttyUSB0"])  # something else: not taken for the board's port
    shown = hil("devices").output
    for text in (
        "    kind: KIND",
        '\n    probe: "E6614"  # ',
        'port: {serial: "E6614"}',
        "2e8a:000c",
    ):
        assert text in shown
    assert not (tmp_path / "devices.yaml").exists()
    added(hil)
    bus.unplug_all()
    bus.plug("2-3", BRIDGE, "FT1", tty=["ttyACM0"])  # the number now belongs to another
    bus.plug("2-1", DEBUG_PROBE, "E6614", probe="Raspberry Pi Debug Probe", tty=["ttyACM7"])
    device = only_device(tmp_path)
    assert find_port(device).path == "/dev/ttyACM7"
    assert find_probe(device).uid == "E6614"
    assert choose_backend(device, "auto")[0] == "hardware"
    assert "E6614 (attached: 2-1)   E6614 (/dev/ttyACM7)" in hil("devices").output


def test_an_external_probe_is_paired_if_there_is_only_one_port(hil, bus, tmp_path):
    bus.plug("1-1", JLINK, "000683012345", probe="J-Link", uid="683012345")
    bus.plug("1-2", NANO, "NANO1", tty=["ttyACM0"])
    output = added(hil, "bench")
    assert "Added to devices.yaml" in output
    device = only_device(tmp_path)
    assert (device.name, device.probe, device.port.serial) == ("bench", "683012345", "NANO1")
    assert (device.link, device.flasher) == ("usb", "pyocd")
    assert find_probe(device).uid == "683012345"
    assert find_port(device).path == "/dev/ttyACM0"


def test_a_probe_alone_is_the_link(hil, bus, tmp_path):
    bus.plug("1-1", JLINK, "000683012345", probe="J-Link", uid="683012345")
    assert "link: probe  # no serial port is attached" in hil("devices").output
    added(hil)
    device = only_device(tmp_path)
    assert (device.link, device.port, device.flasher) == ("probe", None, "pyocd")
    assert choose_backend(device, "auto") == ("hardware", "probe 683012345 is attached")


def test_an_ambiguous_pair_is_never_guessed(hil, bus, tmp_path):
    bus.plug("1-1", JLINK, "111", probe="J-Link")
    bus.plug("1-2", BRIDGE, "FT1", tty=["ttyUSB0"])
    bus.plug("1-3", BRIDGE, "FT2", tty=["ttyUSB1"])
    shown = hil("devices").output
    for text in ('# port: {serial: "FT1"}', '# port: {serial: "FT2"}', "1 probes and 2 ports", "--port PORT"):
        assert text in shown
    output = refused(hil)
    assert "/dev/ttyUSB0, /dev/ttyUSB1" in output
    assert not (tmp_path / "devices.yaml").exists()
    added(hil, "desk", "--probe", "111", "--port", "/dev/ttyUSB1")
    assert only_device(tmp_path).port.serial == "FT2"


def test_two_loose_probes_and_one_port_are_ambiguous_too(hil, bus):
    bus.plug("1-1", JLINK, "111", probe="J-Link")
    bus.plug("1-2", JLINK, "222", probe="J-Link")
    bus.plug("1-3", BRIDGE, "FT1", tty=["ttyUSB0"])
    assert "2 probes and 1 ports could belong together" in refused(hil, "--probe", "222")
    assert "say which with --probe ID: 111, 222" in refused(hil, "x")


def test_a_probe_without_serial_number_is_found_again_where_it_is_plugged_in(hil, bus, tmp_path):
    bus.plug("1-1.4", DAPLINK, None, probe="DAPLink", tty=["ttyACM0"])
    first = bus.probes[0].unique_id
    output = added(hil)
    assert 'probe: "usb:1-1.4"' in output
    assert 'port: {location: "1-1.4:1.0"}' in output
    assert first not in (tmp_path / "devices.yaml").read_text()
    bus.unplug_all()
    bus.plug("1-1.4", DAPLINK, None, probe="DAPLink", tty=["ttyACM5"])
    device = only_device(tmp_path)
    probe = find_probe(device)
    assert probe.uid == bus.probes[0].unique_id != first
    assert (probe.serial, probe.location) == (None, "1-1.4")
    assert find_port(device).path == "/dev/ttyACM5"
    bus.unplug_all()
    bus.plug("1-1.3", DAPLINK, None, probe="DAPLink", tty=["ttyACM5"])  # another place: not it
    assert choose_backend(device, "auto")[0] == "virtual"
    with pytest.raises(ProbeError, match=r"nano33-a: its probe usb:1-1.4 is not attached"):
        find_probe(device)


def test_two_boards_of_one_kind(hil, bus, tmp_path):
    for number in (1, 2):
        bus.plug(f"1-{number}", DAPLINK, f"AA{number}", probe="DAPLink", tty=[f"ttyACM{number}"])
    added(hil)
    devices = Lab.load(tmp_path / "devices.yaml").devices
    assert [(device.name, device.probe, device.port.serial) for device in devices] == [
        ("nano33-a", "AA1", "AA1"),
        ("nano33-b", "AA2", "AA2"),
    ]
    assert [find_port(device).path for device in devices] == ["/dev/ttyACM1", "/dev/ttyACM2"]
    assert "nothing to add" in refused(hil)


def test_clones_with_one_serial_number_are_neither_added_nor_opened(hil, bus, tmp_path):
    for number in (1, 2):
        bus.plug(f"1-{number}", DAPLINK, "123456", probe="DAPLink", tty=[f"ttyACM{number}"])
    assert "nothing was added" in refused(hil)
    assert "boards could be x" in refused(hil, "x", "--port", "/dev/ttyACM1")
    assert not (tmp_path / "devices.yaml").exists()
    (tmp_path / "devices.yaml").write_text('devices:\n  a: {kind: nano33, probe: "123456", port: {location: "1-2"}}\n')
    device = only_device(tmp_path)
    assert find_port(device).path == "/dev/ttyACM2"
    assert "ambiguous" in hil("devices").output
    with pytest.raises(ProbeError, match=r"several attached probes have the id '123456'"):
        find_probe(device)  # pyOCD would open either


def test_a_probe_with_two_ports_is_ambiguous(hil, bus):
    bus.plug("1-1", JLINK, "000111", probe="J-Link", uid="111", tty=["ttyACM0", "ttyACM1"])
    assert "the probe has several ports" in refused(hil)
    output = added(hil, "j", "--port", "/dev/ttyACM1")
    assert 'port: {serial: "000111", location: "1-1:1.1"}' in output


def test_a_port_of_a_device_with_a_probe_of_two_ports_is_not_guessed(bus, tmp_path):
    bus.plug("1-1", JLINK, "111", probe="J-Link", tty=["ttyACM0", "ttyACM1"])
    (tmp_path / "devices.yaml").write_text('devices:\n  a: {kind: nano33, probe: "111"}\n')
    with pytest.raises(LinkError, match="2 serial ports have USB serial number 111"):
        find_port(only_device(tmp_path))


def test_a_board_without_a_probe_is_added_with_what_flashes_it(hil, bus, tmp_path):
    bus.plug("1-1", NANO, "NANO1", tty=["ttyACM0"])
    bus.plug("1-2", NANO, None, tty=["ttyACM1"])
    bus.plug("1-3", BRIDGE, "FT1", tty=["ttyUSB0"])  # nothing tells that this is a board
    assert 'kind: nano33\n    port: {serial: "NANO1"}' in hil("devices").output
    assert "(--port /dev/ttyACM0), (--port /dev/ttyACM1)" in refused(hil, "x")
    added(hil)
    devices = Lab.load(tmp_path / "devices.yaml").devices
    assert [(device.name, device.probe, device.flasher) for device in devices] == [
        ("nano33-a", None, "arduino"),
        ("nano33-b", None, "arduino"),
    ]
    assert [find_port(device).path for device in devices] == ["/dev/ttyACM0", "/dev/ttyACM1"]
    assert choose_backend(devices[0], "auto")[0] == "hardware"
    with open_board(devices[1], "hardware") as board:
        assert (board.port, board.reads_memory) == ("/dev/ttyACM1", False)
    bus.unplug_all()
    bus.plug("1-4", BOOTLOADER, f"{0:016}NANO1", tty=["ttyACM5"])  # the same board, as no firmware on it uses USB
    assert find_port(devices[0]).path == "/dev/ttyACM5"
    assert "nothing to add" in refused(hil)
    (tmp_path / "devices.yaml").unlink()
    assert 'port: {serial: "NANO1"}' in added(hil)
    bus.unplug_all()
    assert choose_backend(devices[0], "auto")[0] == "virtual"


def test_an_uno_is_told_by_its_port_and_a_clone_by_the_user(hil, bus, tmp_path):
    bus.plug("1-1", (0x2341, 0x0043), "UNO1", tty=["ttyACM0"])
    assert "Arduino Uno (2341:0043)" in hil("devices").output
    assert hil("devices", "--add").exit_code == 0
    bus.plug("1-2", (0x1A86, 0x7523), None, tty=["ttyUSB0"])  # a CH340 may be anything
    assert "nothing to add" in hil("devices", "--add").output
    assert hil("devices", "--add", "clone", "--kind", "uno", "--port", "/dev/ttyUSB0").exit_code == 0
    first, second = Lab.load(tmp_path / "devices.yaml").devices
    for device, path in ((first, "/dev/ttyACM0"), (second, "/dev/ttyUSB0")):
        assert (device.kind.name, device.probe, device.link, device.flasher) == ("uno", None, "uart", "avrdude")
        assert find_port(device).path == path
        assert choose_backend(device, "auto")[0] == "hardware"


def test_a_port_that_tells_nothing_is_a_board_if_the_user_says_so(hil, bus, tmp_path):
    bus.plug("1-3", BRIDGE, "FT1", tty=["ttyUSB0"])
    assert "nothing to add" in refused(hil)
    added(hil, "desk", "--port", "/dev/ttyUSB0")
    device = only_device(tmp_path)
    assert (device.probe, device.port.serial, device.link, device.flasher) == (None, "FT1", "usb", "arduino")
    assert "nothing to add" in refused(hil, "again", "--port", "/dev/ttyUSB0")


def test_a_board_that_nothing_flashes_without_a_probe_is_not_added(hil, bus, tmp_path):
    kind = "{title: x, mcu: x, pyocd_target: x, clock_hz: 1, flash: {start: 0, size: 1}, ram: {start: 0, size: 1}}"
    (tmp_path / "devices.yaml").write_text(f"boards:\n  tiny: {kind}\n")
    bus.plug("1-3", BRIDGE, "FT1", tty=["ttyUSB0"])
    assert "nothing is known that flashes a tiny without one" in refused(
        hil, "desk", "--port", "/dev/ttyUSB0", "--kind", "tiny"
    )
    assert "devices:" not in (tmp_path / "devices.yaml").read_text()


def test_what_is_missing_and_what_is_new_are_both_shown(hil, bus, tmp_path):
    text = '# mine\ndevices:\n  old: {kind: nano33, probe: "gone", port: {location: "9-9"}}  # kept\n'
    (tmp_path / "devices.yaml").write_text(text)
    bus.plug("1-1", DAPLINK, "AA1", probe="DAPLink", tty=["ttyACM1"])
    shown = hil("devices").output
    for words in ("gone (not attached)", "9-9 (not attached)", "Not in devices.yaml: probe AA1.", 'probe: "AA1"'):
        assert words in shown
    added(hil, "new")
    assert (tmp_path / "devices.yaml").read_text().startswith(text)


def test_the_kind_is_asked_for_if_nothing_tells_it(hil, bus, tmp_path):
    kind = "{title: x, mcu: x, pyocd_target: x, clock_hz: 1, flash: {start: 0, size: 1}, ram: {start: 0, size: 1}}"
    (tmp_path / "devices.yaml").write_text(f"boards:\n  tiny: {kind}\n")
    bus.plug("1-1", DAPLINK, "AA1", probe="DAPLink", tty=["ttyACM1"])
    kinds = "b_l475e_iot01a, microbit_v2, nano33, nrf52840dk, nucleo_h743zi, nucleo_l4r5zi, pico, uno, tiny"
    assert f"add --kind KIND: {kinds}" in hil("devices", "--add").output
    assert "choose one of the table" in hil("devices").output
    assert 'no kind of board is called "x"' in refused(hil, "--kind", "x")
    assert "kind: tiny\n" in added(hil, "--kind", "tiny")
    assert only_device(tmp_path).kind.name == "tiny"


def test_a_hostile_product_name_stays_a_comment(hil, bus, tmp_path):
    bus.plug("1-1", (1, 2), 'A"1', probe="x\n  evil: {kind: nano33}", tty=["ttyACM1"])
    added(hil)
    device = only_device(tmp_path)
    assert (device.name, device.probe) == ("nano33-a", 'A"1')


def test_options_of_add_alone_are_wrong_usage(hil, bus):
    bus.unplug_all()
    assert hil("devices", "--port", "x").exit_code == 2
    assert "0 attached ports are x" in refused(hil, "--port", "x")


def test_usb_devices_that_do_not_tell_and_computers_without_libusb(bus, monkeypatch):
    class Shy:
        idVendor, idProduct, bus, address, port_numbers = 0x0D28, 0x0204, 9, 4, (9, 2)  # noqa: N815, RUF100

        @property
        def serial_number(self):
            raise ValueError("The device has no langid (permission issue, no string descriptors supported?)")

        product = serial_number

    bus.devices.append(Shy())
    (device,) = usb_devices()
    assert (device.location, device.serial, device.product) == ("9-9.2", None, "")

    def missing(**_):
        raise ValueError("No backend available")

    monkeypatch.setattr(libusb_package, "find", missing)
    bus.plug("1-1", DAPLINK, "AA1", probe="DAPLink", tty=["ttyACM0"])
    assert usb_devices() == []
    (probe,) = attached_probes()
    assert (probe.serial, probe.location) == ("AA1", None)  # and is still paired by its serial number
    (candidate,) = candidates([probe], attached_ports())
    assert candidate.port.path == "/dev/ttyACM0"


def test_a_made_up_id_that_cannot_be_placed_is_never_written_down(hil, bus, tmp_path):
    bus.plug("1-1", DAPLINK, None, probe="DAPLink", tty=["ttyACM0"])
    bus.devices.clear()
    assert "can't be found again" in refused(hil)
    assert 'probe: "' not in hil("devices").output
    assert not (tmp_path / "devices.yaml").exists()


@pytest.mark.usefixtures("bus")
def test_emulated_boards_and_those_of_other_computers_can_be_told_apart(hil, tmp_path, monkeypatch):
    monkeypatch.setenv("HIL_HOST", "here")
    entries = "t: {kind: nano33, backend: virtual, link: usb}", "a: {kind: nano33, probe: A, host: here}"
    lines = "".join(f"  {entry}\n" for entry in (*entries, "b: {kind: nano33, probe: B, host: there}"))
    (tmp_path / "devices.yaml").write_text(f"devices:\n{lines}")
    rows = {line.split()[0]: line for line in hil("devices").output.splitlines() if line.strip()}
    assert rows["t"].split() == ["t", "nano33", "usb", "virtual", "board", "-", "-", "-"]
    assert ("here (this one)" in rows["a"], " there " in rows["b"]) == (True, True)
