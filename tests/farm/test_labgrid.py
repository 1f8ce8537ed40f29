"""A board's place in labgrid, against a real coordinator with real exporters."""

from __future__ import annotations

import subprocess
import sys

import pytest

from harness.config import Lab
from harness.errors import BusyError, ConfigError, FarmError, LeaseLostError
from harness.farm import labgrid as driver
from harness.farm.lab_access import LabAccess
from harness.farm.labgrid import Labgrid
from harness.locks.waiting import NOW, Patience

DEVICES = """\
farm: {{labgrid: {{coordinator: "{0.address}", client: "{0.client_program}"}}}}
devices:
  b1: {{kind: nano33, backend: virtual, labgrid: bench-1}}
  b2: {{kind: nano33, backend: virtual, labgrid: bench-2}}
  twin: {{kind: nano33, probe: P1, labgrid: bench-1}}
  none: {{kind: nano33, backend: virtual, labgrid: bench}}
  gone: {{kind: nano33, backend: virtual, labgrid: unplugged}}
"""
#: Takes a board's place, says so, and is killed by what reads it.
HOLD = """
import sys, time
from harness.config import Lab
from harness.farm.labgrid import Labgrid
from harness.locks.waiting import NOW
lab = Lab.load(sys.argv[1])
Labgrid(lab.farm.labgrid).acquire(lab.devices[0], NOW)
print("held", flush=True)
time.sleep(600)
"""
pytestmark = [pytest.mark.slow, pytest.mark.labgrid]


@pytest.fixture
def lab(labgrid_farm, tmp_path):
    path = tmp_path / "devices.yaml"
    path.write_text(DEVICES.format(labgrid_farm))
    return Lab.load(path)


def device(lab, name):
    return next(found for found in lab.devices if found.name == name)


def holder(labgrid_farm, place="bench-1"):
    return labgrid_farm.holder(place)


def test_a_place_is_held_from_open_to_close_by_a_user_of_its_own(lab, labgrid_farm):
    access = LabAccess(lab)
    board = access.open(device(lab, "b1"), "virtual")
    try:
        held = holder(labgrid_farm)
        assert held.startswith("host1/hil-")
        with access.open(device(lab, "b2"), "virtual"):
            assert holder(labgrid_farm, "bench-2") == held
        with pytest.raises(BusyError, match=rf"in use by {held}"):
            LabAccess(lab).open(device(lab, "b1"), "virtual")  # even by this process
        assert holder(labgrid_farm, "bench-2") is None
        board.guard()
    finally:
        board.close()
    assert holder(labgrid_farm) is None


def test_a_place_that_could_not_be_given_back_is_had_again(lab, labgrid_farm, monkeypatch):
    access = LabAccess(lab)
    board = access.open(device(lab, "b1"), "virtual")
    with monkeypatch.context() as away:
        away.setattr(driver, "_DEADLINE_S", 0.001)
        board.close()
    assert holder(labgrid_farm) is not None
    access.open(device(lab, "b1"), "virtual").close()
    assert holder(labgrid_farm) is None


def test_a_board_that_cannot_be_opened_gives_its_place_back(lab, labgrid_farm):
    with pytest.raises(ConfigError, match="nonsense"):
        LabAccess(lab).open(device(lab, "b1"), "virtual", ("nonsense",))
    assert holder(labgrid_farm) is None


def test_what_somebody_else_has_is_refused_and_waited_for(lab, labgrid_farm):
    labgrid_farm.client("acquire", place="bench-1", user="anna")
    access = LabAccess(lab)
    with pytest.raises(BusyError, match="b1: its place bench-1 in labgrid is in use by desk/anna; wait until"):
        access.open(device(lab, "b1"), "virtual")
    with access.open(device(lab, "twin"), "virtual"):  # which is nobody's
        assert holder(labgrid_farm) == "desk/anna"

    def tell(text):
        assert "in use by desk/anna" in text
        labgrid_farm.client("release", place="bench-1", user="anna")

    with access.open(device(lab, "b1"), "virtual", patience=Patience(120.0, tell)):
        assert holder(labgrid_farm).startswith("host1/hil-")


def test_a_lock_that_is_lost_ends_what_is_measured(lab, labgrid_farm, monkeypatch):
    monkeypatch.setattr(driver, "_LOOK_S", 0.0)
    with LabAccess(lab).open(device(lab, "b1"), "virtual") as board:
        board.guard()
        labgrid_farm.client("release", "--kick", place="bench-1")
        labgrid_farm.client("acquire", place="bench-1", user="anna")
        for _ in range(2):
            with pytest.raises(LeaseLostError, match="place bench-1 in labgrid is lost: desk/anna has it now"):
                board.guard()
        labgrid_farm.client("release", place="bench-1", user="anna")
        with pytest.raises(LeaseLostError):  # once lost is lost
            board.guard()


def test_a_job_that_was_killed_keeps_no_place(lab, labgrid_farm):
    command = [sys.executable, "-c", HOLD, str(lab.path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        with pytest.raises(BusyError, match=f"in use by host1/hil-.*-{process.pid}-"):
            Labgrid(lab.farm.labgrid).acquire(device(lab, "b1"), NOW)
        process.kill()
    assert holder(labgrid_farm) is not None
    Labgrid(lab.farm.labgrid).acquire(device(lab, "b1"), NOW).release()
    assert holder(labgrid_farm) is None


def test_what_is_wrong_is_said(lab, monkeypatch):
    labgrid = Labgrid(lab.farm.labgrid)
    with pytest.raises(ConfigError, match=r"labgrid has no place bench: "):  # which is the beginning of two
        labgrid.acquire(device(lab, "none"), NOW)
    with pytest.raises(FarmError, match=r"gone: place unplugged of labgrid: .*no matching remote resource"):
        labgrid.acquire(device(lab, "gone"), NOW)
    away = lab.farm.labgrid.model_copy(update={"coordinator": "127.0.0.1:1"})
    with pytest.raises(FarmError, match=r"coordinator at 127\.0\.0\.1:1 can't be reached"):
        Labgrid(away).acquire(device(lab, "b1"), NOW)
    monkeypatch.delenv("HIL_LABGRID_VENV", raising=False)
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ConfigError, match=r"labgrid-client isn't there, and `labgrid:` in devices.yaml needs it"):
        Labgrid(lab.farm.labgrid.model_copy(update={"client": None})).acquire(device(lab, "b1"), NOW)
