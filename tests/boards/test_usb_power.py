"""USB power by a fake uhubctl on PATH, whose device is a file that is there or isn't."""

from __future__ import annotations

import pytest

from harness.boards.usb_power import UsbPower
from harness.config.access import UsbHub
from harness.errors import BoardError

FAKE = """#!/bin/sh
echo "$@" >> {log}
case "$6" in
  off) {off} ;;
  on) {on} ;;
esac
"""


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """Return a maker of hub ports, the file that stands for the device, and the log of uhubctl's arguments."""
    device, log = tmp_path / "ttyACM0", tmp_path / "log"
    device.touch()

    def make(off=f"rm {device}", on=f"touch {device}"):
        tool = tmp_path / "bin" / "uhubctl"
        tool.parent.mkdir()
        tool.write_text(FAKE.format(log=log, off=off, on=on))
        tool.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tool.parent}:/usr/bin:/bin")
        port = UsbHub(location="1-1", port=3)
        return UsbPower("bench", port, device.exists, vanish_s=0.3, return_s=0.3, off_s=0.0)

    return make, device, log


def test_device_vanishes_and_comes_back(hub):
    make, device, log = hub
    make().cycle()
    assert device.exists()
    assert log.read_text().splitlines() == ["-l 1-1 -p 3 -a off", "-l 1-1 -p 3 -a on"]


def test_a_missing_device_comes_back(hub):
    make, device, _ = hub
    power = make(off=":")
    device.unlink()
    power.cycle()
    assert device.exists()


def test_hub_that_does_not_cut_the_power(hub):
    make, _, log = hub
    with pytest.raises(BoardError, match=r"bench: still there .* port 3 of hub 1-1.*Most hubs don't cut"):
        make(off=":").cycle()
    assert log.read_text().endswith("-a on\n")  # it is never left switched off


def test_device_that_stays_away(hub):
    make, *_ = hub
    with pytest.raises(BoardError, match=r"bench: not back 0.3 s after"):
        make(on=":").cycle()


def test_tool_that_fails(hub):
    make, *_ = hub
    with pytest.raises(BoardError, match=r"-a off` ended with code 3: No compatible devices"):
        make(off="echo No compatible devices >&2; exit 3").cycle()


def test_tool_that_is_not_installed(hub, monkeypatch, tmp_path):
    power = hub[0]()
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BoardError, match="uhubctl is not installed"):
        power.cycle()
