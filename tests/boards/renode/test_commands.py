"""The Renode backend as a user meets it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from fakes.small_suite import write_small_suite
from harness.boards.renode import process
from harness.cli import main

ROOT = Path(__file__).parents[3]

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the Renode backend is for Linux and macOS")


@pytest.fixture
def hil(monkeypatch):
    monkeypatch.chdir(ROOT)

    def hil(*arguments):
        return CliRunner().invoke(main, [str(argument) for argument in arguments])

    return hil


def run_pytest(tmp_path, *arguments, **environment):
    suite = write_small_suite(tmp_path / "suite.yaml", ROOT)
    command = [sys.executable, "-m", "pytest", str(suite), "--device", "nano33", "-k", "int8", "--samples", "3"]
    return subprocess.run(
        [*command, "-p", "no:cacheprovider", *arguments],
        cwd=tmp_path,
        env={name: value for name, value in {**os.environ, **environment}.items() if value is not None},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.fixture
def nowhere(tmp_path):
    """What to change in the environment for a computer without Renode."""
    return {"HIL_RENODE": None, "PATH": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path), "HOME": str(tmp_path)}


def test_the_main_job_without_renode_ends_with_4_and_tells_how_to_get_it(tmp_path, nowhere):
    done = run_pytest(tmp_path, "--backend", "renode", **nowhere)
    assert done.returncode == 4
    assert "Renode is not installed. `hil renode install`" in done.stderr
    assert not (tmp_path / "results").exists()


@pytest.mark.slow
def test_auto_without_renode_takes_the_virtual_board_and_says_so(tmp_path, nowhere):
    done = run_pytest(tmp_path, **nowhere)
    assert done.returncode == 0
    assert "hil: nano33 on virtual: " in done.stdout
    assert "because no real board is configured under that name, and Renode is not installed" in done.stdout


@pytest.mark.slow
@pytest.mark.usefixtures("stand_in")
def test_auto_with_renode_takes_it_and_says_so(tmp_path):
    done = run_pytest(tmp_path)
    assert done.returncode == 0, done.stdout
    assert "hil: nano33 on renode: emulated by Renode, counts instructions; not latency" in done.stdout
    assert "and Renode is installed (" in done.stdout
    assert "renode backend, emulated" in done.stdout


@pytest.mark.slow
def test_doctor_checks_the_board_on_renode(hil, stand_in):
    result = hil("doctor", "--device", "nano33", "--backend", "renode")
    assert f"ok  Renode: 1.16.1.17033, {stand_in.program} (HIL_RENODE)" in result.output
    assert "ok  nano33: backend renode: asked for" in result.output
    assert "ok  nano33: firmware answers: chip " in result.output


@pytest.mark.slow
def test_doctor_says_that_others_can_reach_the_ports(hil, stand_in, tmp_path, monkeypatch):
    """A guard that can't isolate, as where the system forbids it."""
    refusing = tmp_path / "guard.py"
    source = process._GUARD.read_text()
    assert "libc.unshare(flags) != 0" in source
    refusing.write_text(source.replace("libc.unshare(flags) != 0", "flags"))
    monkeypatch.setattr(process, "_GUARD", refusing)
    result = hil("doctor", "--device", "nano33", "--backend", "renode")
    assert stand_in.pids
    if sys.platform.startswith("linux"):
        assert "--  nano33: other computers may reach Renode's ports: the system refuses" in result.output


def test_install_wants_a_checksum(hil):
    result = hil("renode", "install")
    assert result.exit_code == 1
    assert "hil: " in result.output
    assert hil("renode", "install", "--sha256", "0" * 64, "--sha256-file", "x").exit_code == 2


def test_profile_on_renode_is_that_on_the_virtual_board(hil, stand_in):
    """But for the estimate of cycles, which only the virtual board gives."""
    image = ROOT / "firmware" / "prebuilt" / "nano33" / "fashion_mnist_int8.elf"
    tables = [
        "\n".join(hil("profile", image, "--device", "nano33", "--backend", backend).output.splitlines()[3:])
        for backend in ("renode", "virtual")
    ]
    assert stand_in.pids
    without = [table.partition("\nESTIMATED")[0].partition("\nInstructions are not cycles")[0] for table in tables]
    assert len(without[0].splitlines()) > 8
    assert without[0] == without[1]
    assert ["ESTIMATED" in table for table in tables] == [False, True]
