from __future__ import annotations

from pathlib import Path

import pytest

from harness.boards.opening import open_board
from harness.boards.virtual import Fault, VirtualNrf52840, parse_fault
from harness.errors import ConfigError
from harness.run.options import Options
from harness.run.session import Session


def test_text_of_a_fault():
    assert parse_fault("serial.flip=1e-4,seed=1") == Fault("serial.flip", 1e-4, seed=1)
    assert parse_fault("swd.stuck=0x10400,times=0") == Fault("swd.stuck", 0x10400, times=0)
    assert parse_fault("board.hang") == Fault("board.hang")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("serial.flop=1", "there is no fault 'serial.flop'; the faults are serial.flip"),
        ("serial.flip", "a rate must be above 0"),
        ("serial.flip=2", "a rate must be above 0"),
        ("serial.flip=much", "'much' is not a number"),
        ("board.hang,inference=0", "inference at least 1"),
        ("board.hang,kind=3", "'kind=3' isn't understood"),
        ("board.hang,at=1,at=2", "'at=2' isn't understood"),
    ],
)
def test_text_that_is_not_understood(text, words):
    with pytest.raises(ConfigError, match=words):
        parse_fault(text)


def test_a_fault_of_usb_needs_usb(nano33):
    with pytest.raises(ConfigError, match=r"'usb.reset' needs a board on a USB cable: `link: usb`"):
        open_board(nano33, "virtual", ["usb.reset"])


@pytest.mark.parametrize("fault", ["flip", "drop", "double", "reorder"])
def test_damage_does_not_depend_on_how_the_bytes_come(fault):
    data, results = bytes(range(256)) * 20, []
    for step in (1, 7, len(data)):
        twin = VirtualNrf52840("nano33", faults=[f"serial.{fault}=0.01,seed=5"])
        tap = twin.line.to_host
        results.append(b"".join(tap(data[at : at + step]) for at in range(0, len(data), step)))
        twin.close()
    assert results[0] == results[1] == results[2] != data


def test_header_and_provenance_name_the_faults(tmp_path):
    faults = ("serial.flip=1e-4",)
    bench = Session.build(Options(("nano33",), "virtual", None, Path(tmp_path), 2, 0, faults))
    assert any("INJECTED FAULT serial.flip=1e-4" in line for line in bench.header())
    run = bench._open_run()
    assert '"serial.flip=1e-4"' in (run.path / "run.json").read_text()
    bench.close()


def test_unknown_fault_is_refused_before_anything_runs(tmp_path):
    with pytest.raises(ConfigError, match=r"there is no fault .serial\.flop."):
        Session.build(Options(("nano33",), "virtual", None, Path(tmp_path), 2, 0, ("serial.flop=1",)))
