"""What people see of labgrid: tags of places, boards that can't be shared, and locks of jobs that died."""

from __future__ import annotations

import subprocess
import sys

import pytest

from harness.config import Lab
from harness.errors import ConfigError
from harness.farm.labgrid_inventory import with_places

DEVICES = """\
farm:
  engine: labgrid
  labgrid: {{coordinator: "{0.coordinator}", client: "{0.client}"}}
devices:
  bench-1: {{kind: nano33, backend: virtual}}
  bench-2: {{kind: nano33, backend: virtual}}
  lost: {{kind: nano33, backend: virtual}}
"""


@pytest.fixture
def folder(labgrid_farm, tmp_path):
    (tmp_path / "devices.yaml").write_text(DEVICES.format(labgrid_farm.options))
    return tmp_path


def hil(folder, *words, code=0):
    command = [sys.executable, "-m", "harness", *words]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env=None)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.labgrid
def test_a_tag_of_a_place_selects_its_device(folder):
    lab = Lab.load(folder / "devices.yaml")
    with pytest.raises(ConfigError, match='called "window"'):
        lab.select(["window"])
    assert [device.name for device in with_places(lab, ["window"]).select(["window"])] == ["bench-1"]
    assert with_places(lab, ["bench-2", "nano33", "all"]) is lab  # which needs no labgrid


@pytest.mark.slow
@pytest.mark.labgrid
def test_devices_shows_places_and_what_is_wrong_with_them(folder):
    output = " ".join(hil(folder, "devices").split())
    assert "Places in labgrid" in output
    assert "site=window" in output
    assert "spare" in output
    assert "that devices.yaml doesn't describe" in output


@pytest.mark.slow
@pytest.mark.labgrid
def test_a_board_that_somebody_holds_in_labgrid_is_not_free(folder, labgrid_farm):
    labgrid_farm.client("acquire", place="bench-1")
    try:
        output = hil(folder, "leases")
        assert "bench-1: held in labgrid by " in output
        assert "bench-1" not in output.partition("Free (")[2]
        assert "bench-2" in output.partition("Free (")[2]
    finally:
        labgrid_farm.client("release", place="bench-1")


@pytest.mark.slow
@pytest.mark.labgrid
def test_the_janitor_can_be_called(folder):
    assert "No place is held by a job that has died." in hil(folder, "leases", "--janitor")


def test_the_janitor_is_for_labgrid(tmp_path):
    (tmp_path / "devices.yaml").write_text("devices: {a: {kind: nano33, backend: virtual}}\n")
    assert "--janitor is for farms with `farm: labgrid`" in hil(tmp_path, "leases", "--janitor", code=1)
