"""When a board is flashed and when it is erased, as the user says on the command line."""

from __future__ import annotations

import shutil
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

import fakes.inner_runs  # noqa: F401 (what the inner runs need)
from fakes.attached import SERIAL
from fakes.stale_image import zero_weights
from harness.boards.opening import open_board
from harness.cli import main
from harness.cli.flash import flash_proof
from harness.image.elf import load_image
from harness.store import load_results

pytest_plugins = ["pytester"]

BOOTLOADER = bytes(range(256))


@pytest.fixture
def lab(attached, tmp_path, root):
    """A folder with a lab of one attached board, and the shipped suite."""
    lab = tmp_path / "lab"
    lab.mkdir()
    shutil.copytree(root / "suites", lab / "suites")
    shutil.copytree(root / "firmware" / "prebuilt", lab / "firmware" / "prebuilt")
    entry = f'kind: nano33, probe: "{attached.twin.probe_uid}", port: {{serial: "{SERIAL}"}}'
    (lab / "devices.yaml").write_text(f"devices:\n  bench: {{{entry}}}\n")
    return lab


@pytest.fixture
def hil(lab, monkeypatch):
    monkeypatch.chdir(lab)
    return lambda *arguments: CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture
def run(lab, pytester, monkeypatch):
    """Run the int8 variant in the lab, and return pytest's result, the case, and the board's log."""
    monkeypatch.setenv("PYTEST_ADDOPTS", "-p no:cacheprovider -p no:hypothesispytest")
    monkeypatch.chdir(lab)

    def run(*options):
        arguments = (
            "suites/fashion_mnist.yaml::int8",
            "--rootdir",
            lab,
            "--lab",
            lab / "devices.yaml",
            "--results-dir",
            lab / "results",
        )
        result = pytester.runpytest(*arguments, "--samples", "3", *options)
        folder = (lab / "results" / "latest").resolve()
        logs = [path.read_text() for path in (folder / "logs").glob("*.log")]
        return result, load_results(folder).cases.iloc[0], "".join(logs)

    return run


@pytest.mark.usefixtures("patient")
def test_hil_flash_leaves_a_board_alone_that_runs_the_image(hil, attached, image):
    first = hil("flash", image.path, "--device", "bench")
    assert first.exit_code == 0, first.output
    assert "bench on hardware" in first.output
    assert "Flashed fashion_mnist_int8.elf" in first.output
    programmed = attached.written_blocks
    second = hil("flash", image.path, "--device", "bench").output
    assert "Flashing fashion_mnist_int8.elf skipped: its flash was read and is equal." in second
    assert "--force flashes it anyway." in second
    assert "Flashed" not in second
    assert attached.written_blocks == programmed > 0
    third = hil("flash", image.path, "--device", "bench", "--force").output
    assert f"Flashed fashion_mnist_int8.elf: {image.flash_bytes:,} bytes, read back and equal." in third
    assert "skipped" not in third
    assert attached.written_blocks > programmed  # pyOCD compares sector by sector, and writes what differs


def test_hil_flash_erases_a_locked_part_only_when_told(hil, attached, image):
    attached.twin.machine.memory.flash[:256] = memoryview(BOOTLOADER)
    attached.twin.dap.locked = True
    refused = hil("flash", image.path, "--device", "bench")
    assert refused.exit_code == 1
    assert "bench: the nRF52840 behind probe" in refused.output
    assert "--allow-mass-erase" in refused.output
    assert bytes(attached.twin.machine.memory.flash[:256]) == BOOTLOADER
    told = hil("flash", image.path, "--device", "bench", "--allow-mass-erase")
    assert told.exit_code == 0, told.output
    assert "The nRF52840 was locked: it was erased whole, bootloader included." in told.output
    assert f"build id {image.build_id}" in told.output
    assert bytes(attached.twin.machine.memory.flash[:256]) == b"\xff" * 256


@pytest.mark.slow
@pytest.mark.usefixtures("patient")
def test_force_flash_in_a_run(run, hil, attached, image):
    assert hil("flash", image.path, "--device", "bench").exit_code == 0
    written = []
    for options in ((), ("--force-flash",)):
        before = attached.written_blocks
        result, case, log = run("--device", "bench", *options)
        result.assert_outcomes(passed=1)
        assert (case.backend, case.status, case.samples) == ("hardware", "complete", 3)
        written.append((attached.written_blocks - before > 0, "skipped" in log, case.flashing))
    assert written == [(False, True, "compared"), (True, False, "written")]


@pytest.mark.slow
@pytest.mark.usefixtures("patient")
def test_the_same_build_id_with_other_weights_is_another_image(run, hil, lab, attached, image):
    """The weights are zeroed in the file, and the build id is kept: nothing that the firmware says tells the two."""
    path = lab / "firmware" / "prebuilt" / "nano33" / image.path.name
    assert "Flashed fashion_mnist_int8.elf" in hil("flash", image.path, "--device", "bench").output
    zero_weights(path, path)
    stale = load_image(path)
    assert (stale.build_id, stale.card) == (image.build_id, image.card)
    assert stale.segments[0].data[:64] == image.segments[0].data[:64]
    bad = run("--device", "bench", "--samples", "20")[1]
    assert (bad.flashing, bad.image_sha256, bad.build_id) == ("written", stale.sha256, image.build_id)
    assert bytes(attached.twin.machine.memory.flash[stale.vectors : stale.segments[0].end]) == stale.segments[0].data
    assert bad.accuracy < 0.5  # one class for every input
    before = attached.written_blocks
    assert "Flashed fashion_mnist_int8.elf" in hil("flash", image.path, "--device", "bench").output
    assert attached.written_blocks > before


@pytest.mark.slow
def test_a_locked_part_in_a_run(run, attached):
    attached.twin.dap.locked = True
    result, case, log = run("--device", "bench")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["bench: the nRF52840 behind probe * is locked * say --allow-mass-erase"])
    assert (case.status, case.attempts, case.samples) == ("failed", 1, 0)
    assert "(given up)" in log
    assert attached.twin.dap.locked
    result, case, log = run("--device", "bench", "--allow-mass-erase")
    result.assert_outcomes(passed=1)
    assert (case.status, case.attempts, case.samples) == ("complete", 1, 3)
    assert "the nRF52840 was locked: it was erased whole, bootloader included" in log
    assert not attached.twin.dap.locked


def test_nothing_is_called_read_back_without_a_probe(board):
    assert flash_proof(board) == "read back and equal"
    assert "not read back" in flash_proof(SimpleNamespace(reads_memory=False))


def test_who_opens_a_board_alone_may_allow_the_erasing_too(nano33):
    with open_board(nano33, "virtual", ["swd.locked"], unlock=True) as board:
        assert not board.twin.dap.locked
