"""`hil doctor`: udev rules, permissions, ModemManager, and who has a port open."""

from __future__ import annotations

import fnmatch
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from harness.boards.discover import Port, Probe
from harness.boards.usb import UsbDevice
from harness.cli.doctor.links import configured_links
from harness.cli.doctor.usb import Places, install_command, rules_file, usb_findings
from harness.config import Lab

DAPLINK = UsbDevice(0x0D28, 0x0204, 1, 5, "1-1", "AA1", "DAPLink CMSIS-DAP")
JOULESCOPE = UsbDevice(0x16D0, 0x10BA, 1, 7, "1-3", "J1", "JS220")
NANO = UsbDevice(0x2341, 0x005A, 1, 6, "1-2", "N1", "Nano 33 BLE")
TERM = re.compile(r'^([A-Z]+)(?:\{(\w+)\})?(==|!=|\+=|=)"([^"]*)"$')

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="udev and /proc are Linux")


def rules():
    lines = [line.strip() for line in rules_file().read_text().splitlines()]
    for line in lines:
        if line and not line.startswith("#"):
            terms = [TERM.match(part.strip()) for part in line.split(",")]
            assert all(terms), line
            yield [term.groups() for term in terms]


def apply(subsystem, vendor, product, name="", action="add"):
    """What udev would do with these rules: a small evaluator of the operators that they use."""
    facts = {
        ("SUBSYSTEM", None): subsystem,
        ("SUBSYSTEMS", None): "usb",
        ("ACTION", None): action,
        ("ENV", "DEVTYPE"): "usb_device" if subsystem == "usb" else "",
        ("ATTRS", "idVendor"): vendor,
        ("ATTRS", "idProduct"): product,
        ("ATTRS", "product"): name,
    }
    skip_to, tags = None, []
    for terms in rules():
        if skip_to is not None:
            skip_to = None if terms == [("LABEL", None, "=", skip_to)] else skip_to
            continue
        tests = [(facts.get((key, part), ""), op, value) for key, part, op, value in terms if op in ("==", "!=")]
        if not all(fnmatch.fnmatchcase(found, value) == (op == "==") for found, op, value in tests):
            continue
        for key, part, op, value in terms:
            if key == "GOTO":
                skip_to = value
            elif op == "+=":
                tags.append(value)
            elif op == "=":
                facts[key, part] = value
    assert skip_to is None, f"no LABEL {skip_to}"
    return {
        "mode": facts.get(("MODE", None)),
        "group": facts.get(("GROUP", None)),
        "ignored": facts.get(("ENV", "ID_MM_DEVICE_IGNORE")) == facts.get(("ENV", "ID_MM_PORT_IGNORE")) == "1",
        "uaccess": "uaccess" in tags,
    }


@pytest.mark.parametrize(
    ("vendor", "product", "name"),
    [
        ("0d28", "0204", "x"),
        ("2e8a", "000c", "x"),
        ("1366", "1015", "J-Link"),
        ("0483", "3748", "x"),
        ("0483", "374b", "x"),
        ("0483", "3754", "x"),
        ("03eb", "2141", "x"),
        ("c251", "f001", "LPC-Link CMSIS-DAP V5"),
        ("2341", "005a", "Nano 33 BLE"),
        ("2341", "805a", "Nano 33 BLE"),
        ("1915", "c00a", "PPK2"),
        ("0483", "5740", "PowerShield (Virtual ComPort in FS Mode)"),
        ("16d0", "0e88", "Joulescope"),
        ("16d0", "10ba", "JS220"),
    ],
)
def test_the_rules_open_probes_and_keep_modem_manager_away(vendor, product, name):
    for subsystem in ("usb", "hidraw"):
        got = apply(subsystem, vendor, product, name)
        assert got == {"mode": "0660", "group": "plugdev", "ignored": True, "uaccess": True}
    assert apply("tty", vendor, product, name) == {"mode": None, "group": None, "ignored": True, "uaccess": True}


@pytest.mark.parametrize(
    ("subsystem", "vendor", "product"), [("usb", "12d1", "1506"), ("tty", "0483", "5740"), ("net", "1366", "1015")]
)
def test_the_rules_touch_nothing_else(subsystem, vendor, product):
    assert apply(subsystem, vendor, product) == {"mode": None, "group": None, "ignored": False, "uaccess": False}


def test_the_rules_come_before_uaccess_and_modem_manager():
    assert int(rules_file().name[:2]) < 73


# ---- what doctor says


@pytest.fixture
def places(tmp_path):
    folders = [tmp_path / name for name in ("proc", "udev", "rules")]
    for folder in folders:
        folder.mkdir()
    return Places(folders[0], folders[1], (folders[2],))


def check(places, ports=(), devices=()):
    return {(finding.what, finding.state): finding.text for finding in usb_findings(list(ports), list(devices), places)}


def run_program(places, number, name):
    (places.proc / str(number)).mkdir()
    (places.proc / str(number) / "comm").write_text(f"{name}\n")


@linux_only
def test_rules_missing_present_and_old(places):
    assert check(places)["udev rules", "optional"].startswith("not installed; needed once a board is attached: sudo cp")
    assert install_command() in check(places, devices=[DAPLINK])["udev rules", "optional"]
    installed = places.rules[0] / "60-tinyml-hil.rules"
    installed.write_bytes(rules_file().read_bytes())
    assert check(places)["udev rules", "ok"] == str(installed)
    installed.write_text("# old\n")
    assert "another release" in check(places)["udev rules", "optional"]


def test_the_command_names_a_file_that_exists():
    assert Path(install_command().split()[2]).is_file()


@linux_only
def test_a_probe_without_permission(places, tmp_path, monkeypatch):
    node = tmp_path / "005"
    node.touch()
    monkeypatch.setattr(UsbDevice, "node", node)
    access = os.access
    monkeypatch.setattr("os.access", lambda path, mode: Path(path) != node and access(path, mode))
    text = check(places, devices=[DAPLINK])["Probe permission", "problem"]
    assert text.startswith(f"no permission for DAPLink CMSIS-DAP at 1-1 ({node}): sudo cp ")
    assert not any(what == "Probe permission" for what, _ in check(places, devices=[NANO]))  # only its port is used
    text = check(places, devices=[JOULESCOPE])["Power monitor permission", "problem"]
    assert text.startswith(f"no permission for JS220 at 1-3 ({node}): sudo cp ")
    monkeypatch.setattr("os.access", access)
    assert not any(what == "Probe permission" for what, _ in check(places, devices=[DAPLINK]))


@linux_only
def test_modem_manager(places):
    port = Port("/dev/null", "Nano", "S1", "1-1")  # a device file with a number, as a port is
    assert check(places, [port])["ModemManager", "ok"] == "is not running"
    run_program(places, 700, "ModemManager")
    assert "no port is attached" in check(places)["ModemManager", "ok"]
    assert "may send AT commands to /dev/null: sudo cp " in check(places, [port])["ModemManager", "problem"]
    (places.udev_data / "c1:3").write_text("E:ID_VENDOR=x\nE:ID_MM_PORT_IGNORE=1\n")
    assert "leaves the boards' ports alone" in check(places, [port])["ModemManager", "ok"]


@linux_only
def test_the_program_that_has_a_port_open_is_named():
    main, other = os.openpty()
    path = os.ttyname(other)
    port = Port(path, "Nano", "S1", "1-1")
    code = f"import sys; f = open({path!r}, 'rb'); print('open', flush=True); sys.stdin.read()"
    try:
        found = [finding.text for finding in usb_findings([port], [])]
        assert not any("is open in" in text for text in found)
        with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            assert process.stdout.readline() == b"open\n"
            found = [finding.text for finding in usb_findings([port], [])]
            process.stdin.close()
        assert any(text.startswith(f"{path} is open in ") and f"(process {process.pid})" in text for text in found), (
            found
        )
    finally:
        os.close(main)
        os.close(other)


# ---- the link of each device that is configured

LINKS = """\
devices:
  wires: {kind: nano33, probe: P1, port: {serial: FT1}}
  cable: {kind: nano33, probe: P2, port: {serial: N1}, link: usb}
  swd: {kind: nano33, probe: P2X, link: probe}
  far: {kind: nano33, probe: "remote:lab", port: {url: "socket://lab:4001"}}
  farswd: {kind: nano33, probe: "remote:lab2:77", link: probe}
  other: {kind: nano33, probe: P3, port: {serial: Z}, host: another}
  model: {kind: nano33, backend: virtual, link: usb}
"""


def links(tmp_path, ports=(), probes=()):
    (tmp_path / "devices.yaml").write_text(LINKS)
    found = configured_links(Lab.load(tmp_path / "devices.yaml").devices, list(ports), list(probes))
    return {finding.what.removeprefix("Link of "): (finding.state, finding.text) for finding in found}


def test_what_is_attached_of_each_link(tmp_path):
    found = links(tmp_path)
    assert list(found) == ["wires", "cable", "swd", "far", "farswd", "model"]
    assert found["wires"][0] == found["cable"][0] == found["swd"][0] == "optional"
    assert found["wires"][1].startswith("uart: its port is not there: plug in the serial adapter")
    assert "usb: its port is not there" in found["cable"][1]
    assert "press reset twice" in found["cable"][1]
    assert found["swd"][1].startswith("probe: its probe P2X is not attached")
    assert found["far"] == ("ok", "uart: socket://lab:4001, of another computer; `hil doctor --device far` tries it")
    assert found["farswd"] == (
        "ok",
        "probe: remote:lab2:77, of another computer; `hil doctor --device farswd` tries it",
    )
    assert found["model"] == ("ok", "usb: a virtual board's")


@linux_only
def test_a_link_that_may_be_used_and_one_that_may_not(tmp_path, monkeypatch):
    main, other = os.openpty()
    path = os.ttyname(other)
    ports = [Port(path, "Nano", "N1", "1-2"), Port("/dev/null", "FT232", "FT1", "1-1")]
    probes = [Probe("P2X", "DAPLink", "P2X", "1-4")]
    code = f"import sys; f = open({path!r}, 'rb'); print('open', flush=True); sys.stdin.read()"
    try:
        found = links(tmp_path, ports, probes)
        assert found["cable"] == (
            "ok",
            f"usb: {path} is there and may be used; `hil doctor --device cable` measures its rate",
        )
        assert found["swd"] == ("ok", "probe: P2X is attached; `hil doctor --device swd` measures its rate")
        with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            assert process.stdout.readline() == b"open\n"
            state, text = links(tmp_path, ports)["cable"]
            process.stdin.close()
        assert (state, f"(process {process.pid}); end it before a run" in text) == ("problem", True)
    finally:
        os.close(main)
        os.close(other)
    monkeypatch.setattr("os.access", lambda path, _mode: path != "/dev/null")
    assert links(tmp_path, ports)["wires"] == (
        "problem",
        "uart: no permission for /dev/null; `Serial ports` above says how to get it",
    )
