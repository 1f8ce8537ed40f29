from __future__ import annotations

import pytest

from harness.boards.renode.log import log_size, read_log


@pytest.fixture
def findings(tmp_path):
    def findings(text, start=0):
        path = tmp_path / "renode.log"
        path.write_text(text)
        return read_log(path, start)

    return findings


def test_an_access_to_nothing_is_told_once(findings):
    message = "sysbus: [cpu: 0x1000] WriteDoubleWord to non existing peripheral at 0x30000000, value 0x1."
    found = findings(f"12:00:01.0001 [WARNING] {message}\n12:00:02.0001 [WARNING] {message}\n")
    assert found.wild == (message,)
    assert found.fault == f"Renode's log says: {message}"


@pytest.mark.parametrize("address", ["0x40007000", "0x5F000000", "0xE0042000"])
def test_peripherals_that_are_not_modelled_are_no_fault(findings, address):
    found = findings(f"[WARNING] sysbus: ReadDoubleWord from non existing peripheral at {address}.")
    assert found.fault is None
    assert len(found.unmodelled) == 1


def test_the_flash_controller_is_expected(findings):
    found = findings("[WARNING] sysbus: WriteDoubleWord to non existing peripheral at 0x4001E540, value 0x1.")
    assert (found.wild, found.unmodelled, found.stopped) == ((), (), ())


@pytest.mark.parametrize(
    "line",
    [
        "[ERROR] cpu: CPU abort [PC=0x10020]: Trying to execute code outside RAM or ROM at 0x0.",
        "[ERROR] cpu: PC does not lay in memory or PC and SP are equal to zero. CPU was halted.",
        "[ERROR] cpu: lockup at 0x10020",
    ],
)
def test_a_cpu_that_stopped(findings, line):
    assert line.partition("] ")[2] in findings(f"12:00:01.5 {line}").fault


def test_many_accesses_are_shortened(findings):
    text = "".join(f"[WARNING] sysbus: ReadByte from non existing peripheral at 0x3000000{n}.\n" for n in range(5))
    assert findings(text).fault.endswith("0x30000002. (and 2 more)")


def test_only_what_came_after_the_reset_counts(findings, tmp_path):
    text = "[WARNING] sysbus: ReadByte from non existing peripheral at 0x30000000.\n"
    assert findings(text, len(text)).fault is None
    assert log_size(tmp_path / "renode.log") == len(text)


def test_a_log_that_is_not_there(tmp_path):
    assert read_log(tmp_path / "none", 0).fault is None
    assert log_size(tmp_path / "none") == 0


def test_a_log_that_runs_over_is_read_in_parts(findings):
    """Firmware that runs wild fills it with more different lines than anybody needs."""
    lines = [
        f"[WARNING] sysbus: [cpu: 0x{n:X}] ReadByte from non existing peripheral at 0x30000000." for n in range(5000)
    ]
    found = findings("\n".join(["x" * 5_000_000, *lines, "[ERROR] cpu: CPU abort [PC=0x10020]: nothing there"]))
    assert len(found.wild) == 1000
    assert found.stopped == ("cpu: CPU abort [PC=0x10020]: nothing there",)
