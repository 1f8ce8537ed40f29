"""`hil init`, from the clone and from a wheel."""

from __future__ import annotations

import os
import runpy
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner

from fakes.usb_bus import UsbBus
from harness.cli import main
from harness.config import Lab, load_suite
from harness.files.starter import FOLDERS, SOURCE_FOLDERS, starter_files

ROOT = Path(__file__).parents[2]


@pytest.fixture
def bus(monkeypatch):
    return UsbBus(monkeypatch)


def init(*arguments):
    return CliRunner().invoke(main, ["init", *map(str, arguments)])


def test_a_new_lab_has_all_that_its_suite_needs(tmp_path, bus):
    assert not bus.probes
    result = init(tmp_path / "lab")
    assert result.exit_code == 0, result.output
    assert "virtual board" in result.output
    lab = Lab.load(tmp_path / "lab" / "devices.yaml")
    assert lab.devices == ()
    for path in (tmp_path / "lab" / "suites").glob("*.yaml"):
        suite = load_suite(path)
        assert len(suite.load_data()) > 0
        for variant in suite.variants:
            assert suite.image_path(variant, lab.kind("nano33")).is_relative_to(tmp_path / "lab")
    assert "results/" in (tmp_path / "lab" / ".gitignore").read_text().splitlines()


def test_what_is_attached_is_in_the_new_lab(tmp_path, bus):
    bus.plug("1-1", (0x0D28, 0x0204), "AA1", probe="DAPLink")
    bus.plug("1-2", (0x2341, 0x805A), "NANO1", tty=["ttyACM1"])  # which tells what board it is
    init(tmp_path)
    assert Lab.load(tmp_path / "devices.yaml").devices[0].probe == "AA1"
    assert "# The boards of this lab." in (tmp_path / "devices.yaml").read_text()


def test_an_ambiguous_board_is_said_and_not_written(tmp_path, bus):
    bus.plug("1-1", (0x1366, 0x1015), "111", probe="J-Link")
    bus.plug("1-2", (0x0403, 0x6001), "FT1", tty=["ttyUSB0"])
    bus.plug("1-3", (0x0403, 0x6001), "FT2", tty=["ttyUSB1"])
    result = init(tmp_path)
    assert result.exit_code == 0
    assert "No board was added: " in result.output
    assert Lab.load(tmp_path / "devices.yaml").devices == ()


def test_nothing_is_overwritten(tmp_path, bus):
    bus.plug("1-1", (0x0D28, 0x0204), "AA1", probe="DAPLink", tty=["ttyACM1"])
    mine = {"devices.yaml": "# mine\ndevices: {}\n", ".gitignore": "mine\n", "suites/fashion_mnist.yaml": "mine\n"}
    (tmp_path / "suites").mkdir()
    for name, text in mine.items():
        (tmp_path / name).write_text(text)
    result = init(tmp_path)
    assert result.exit_code == 0
    assert "1 that were there left as they are" in result.output
    assert {name: (tmp_path / name).read_text() for name in mine} == mine
    again = init(tmp_path)
    assert "0 files written" in again.output


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    result = init(tmp_path / "file" / "lab")
    assert result.exit_code == 1
    assert "can't be written" in result.output


def test_the_wheel_and_the_source_archive_carry_what_the_package_looks_for(monkeypatch):
    monkeypatch.setattr("setuptools.setup", lambda **_: None)
    folders = runpy.run_path(str(ROOT / "setup.py"))["_FOLDERS"]
    assert set(folders) == {*FOLDERS, *SOURCE_FOLDERS}
    assert set((ROOT / "MANIFEST.in").read_text().split()) - {"graft"} == set(folders)
    for folder in folders:
        assert any(path.is_file() for path in (ROOT / folder).rglob("*"))


@pytest.mark.slow
def test_an_installed_wheel_starts_a_lab_that_runs(tmp_path):
    """The wheel is unpacked ahead of the clone on the path, with the dependencies of this environment."""
    source = tmp_path / "source"
    for folder in ("harness", *FOLDERS, *SOURCE_FOLDERS):
        shutil.copytree(ROOT / folder, source / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("setup.py", "pyproject.toml", "MANIFEST.in", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    build = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", tmp_path, source]
    subprocess.run([*build, "--disable-pip-version-check"], check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    site = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(site)
    shipped = {
        path.relative_to(site / "harness/starter_files")
        for path in site.rglob("*")
        if path.is_file() and path.is_relative_to(site / "harness/starter_files")
    }
    sources = {path.relative_to(ROOT) for folder in SOURCE_FOLDERS for path in (ROOT / folder).rglob("*.*")}
    assert shipped == set(starter_files()) | sources
    lab = tmp_path / "lab"
    environment = {**os.environ, "PYTHONPATH": str(site)}
    run = [sys.executable, "-c"]
    start = "import harness.cli, sys; sys.argv = ['hil', 'init', sys.argv[1]]; harness.cli.main()"
    subprocess.run([*run, start, lab], check=True, env=environment, cwd=tmp_path)
    where = "import harness; print(harness.__file__)"
    found = subprocess.run([*run, where], check=True, env=environment, cwd=lab, capture_output=True, text=True)
    assert found.stdout.startswith(str(site))
    bench = [sys.executable, "-m", "pytest", "suites", "--device", "nano33", "--backend", "virtual", "--samples", "3"]
    bench += ["-k", "student_int8 or int8_patched"]  # all suites are read, and of most one variant is run
    done = subprocess.run(bench, check=False, env=environment, cwd=lab, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (lab / "results" / "latest").exists()
    if shutil.which("arm-none-eabi-gcc") is None:
        return  # what `hil build` does is tested where there is a compiler
    model = ROOT / "firmware/models/fashion_mnist/fashion_mnist_int8.tflite"
    hil = "import harness.cli, sys; sys.argv[0] = 'hil'; harness.cli.main()"
    subprocess.run(
        [*run, hil, "build", model, "--board", "nano33", "-o", lab / "m.elf"], check=True, env=environment, cwd=lab
    )
    here = [sys.executable, "-m", "harness", "build", model, "--board", "nano33", "-o", tmp_path / "here.elf"]
    subprocess.run(here, check=True, cwd=ROOT)
    assert (lab / "m.elf").read_bytes() == (tmp_path / "here.elf").read_bytes()
