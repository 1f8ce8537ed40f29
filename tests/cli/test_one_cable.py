"""From a clone to a first result, by the lines of the README, with a board on its USB cable and nothing else."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from fakes.usb_computer import UsbComputer
from harness.boards.virtual import VirtualNrf52840
from harness.config import Lab
from harness.store import load_results

pytestmark = pytest.mark.slow
FIGURES = ["variant", "sample", "ticks", "output_crc"]


@pytest.fixture
def clone(root, tmp_path):
    """What a clone has, as far as a run reads it."""
    folder = tmp_path / "clone"
    (folder / "suites").mkdir(parents=True)
    for path in (root / "suites").glob("*.yaml"):
        shutil.copy(path, folder / "suites")
    for name in ("suites/data", "firmware", ".venv"):
        (folder / name).symlink_to(root / name)
    for name in ("devices.yaml", "Makefile"):
        shutil.copy(root / name, folder)
    return folder


def lines_of_the_readme(root):
    block = re.search(
        r"\n## With a Nano 33 BLE and its USB cable\n.*?\n((?:    [^\n]*\n)+)",
        (root / "README.md").read_text(),
        re.DOTALL,
    )
    return [line.partition(" #")[0].split() for line in block[1].splitlines()]


def test_three_commands_lead_from_a_clone_to_a_result_on_a_board(root, clone, tmp_path):
    install, *commands = lines_of_the_readme(root)
    assert 1 + len(commands) <= 3
    assert install == ["make", "install"]
    assert re.search(r"^install: \$\(VENV\)/run$", (root / "Makefile").read_text(), re.MULTILINE)
    with VirtualNrf52840("desk", link="usb", bootloader=True) as twin, UsbComputer(twin, tmp_path) as computer:
        for command in commands:
            done = subprocess.run(
                command, cwd=clone, env=computer.environment, capture_output=True, text=True, timeout=300, check=False
            )
            assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
            assert "nano33-a" in done.stdout
        (device,) = Lab.load(clone / "devices.yaml").devices
        assert (device.link, device.flasher, device.probe) == ("usb", "arduino", None)
        assert device.port.serial == twin.usb_identity[2]
        assert twin.usb_identity[1] == 0x805A  # the application runs
    results = load_results(clone / "results" / "latest")
    assert results.cases.status.tolist() == ["complete"] * 3
    assert set(results.cases.flashing) == {"written"}
    # Over the UART of a board that a probe had flashed, the same images gave the same.
    example = load_results(root / "results" / "example").samples
    expected = example[(example.suite == "meat_fat") & (example.variant.isin(results.cases.variant))]
    mine, theirs = (
        samples[FIGURES]
        .drop_duplicates()
        .sort_values(["variant", "sample"])
        .to_dict("list")  # a real board repeats some
        for samples in (results.samples, expected)
    )
    assert mine == theirs
    assert len(mine["sample"]) == 3 * 43
