"""The janitor frees the places of dead jobs in a real labgrid, and no others."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import time

import pytest

from fakes.labgrid_farm import wait_until
from harness.errors import ConfigError, LeaseLostError
from harness.farm.labgrid import Labgrid
from harness.farm.labgrid_janitor import Heartbeat, janitor, job_user
from harness.farm.place_hold import LabgridJob

JOB = """\
import sys, time
from pathlib import Path
from harness.config import Lab
from harness.config.farm import LabgridOptions
from harness.farm.place_hold import LabgridJob
coordinator, client, state, place = sys.argv[1:]
device = Lab.load(None).select(["nano33"])[0].model_copy(update={"place": place})
job = LabgridJob(LabgridOptions(coordinator=coordinator, client=client), Path(state))
job.hold(device)
print("held", flush=True)
time.sleep(600)
"""


@pytest.fixture
def device(labgrid_lab):
    return {device.name: device for device in labgrid_lab.devices}


@contextlib.contextmanager
def start_job(farm, state, place):
    command = [sys.executable, "-c", JOB, farm.address, farm.options.client, str(state), place]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline() == "held\n"
            yield process
        finally:
            process.kill()


@pytest.mark.labgrid
@pytest.mark.slow
def test_a_killed_job_is_freed_and_a_live_one_and_a_person_are_left_alone(labgrid_farm, device, tmp_path):
    labgrid_farm.client("acquire", place="bench-3")
    with (
        start_job(labgrid_farm, tmp_path, "bench-2") as killed,
        LabgridJob(labgrid_farm.options, tmp_path, grace_s=60.0) as job,
        job.hold(device["bench-1"]) as hold,
    ):
        admin = labgrid_farm.admin()
        assert janitor(admin, tmp_path) == [], "while it lives"
        killed.kill()
        killed.wait()
        holder = admin.holder("bench-2")
        assert holder is not None
        assert f"-{killed.pid}-" in holder
        (freed,) = janitor(admin, tmp_path)
        assert (freed.place, freed.holder) == ("bench-2", holder)
        assert freed.reason == f"its process {killed.pid} on host1 has ended"
        assert {place.name: place.acquired for place in admin.places() if place.acquired} == {
            "bench-1": job.labgrid.identity,
            "bench-3": "desk/anna",
        }
        assert janitor(admin, tmp_path) == []
        assert [path.stem for path in (tmp_path / "labgrid").glob("*.json")] == [job.labgrid.identity.split("/")[1]]
        hold.check()
    labgrid_farm.client("release", place="bench-3")
    assert list((tmp_path / "labgrid").glob("*.json")) == []


@pytest.mark.labgrid
@pytest.mark.slow
def test_a_job_of_another_host_is_dead_when_its_heart_has_stopped(labgrid_farm, tmp_path, monkeypatch):
    monkeypatch.setenv("HIL_HOST", "host2")
    with start_job(labgrid_farm, tmp_path, "bench-2") as job:
        job.kill()
        job.wait()
    monkeypatch.setenv("HIL_HOST", "host1")
    assert janitor(labgrid_farm.admin(), tmp_path) == [], "that its process is gone can't be seen from here"
    (path,) = (tmp_path / "labgrid").glob("*.json")
    assert json.loads(path.read_text())["places"] == ["bench-2"]
    old = time.time() - 130
    os.utime(path, (old, old))
    (freed,) = janitor(labgrid_farm.admin(), tmp_path)
    assert freed.place == "bench-2"
    silent_s = re.fullmatch("no heartbeat for ([0-9]+) s", freed.reason)[1]
    assert 130 <= int(silent_s) < 230
    assert not path.exists()


@pytest.mark.labgrid
def test_a_job_that_the_state_folder_does_not_know_is_left_alone(labgrid_farm, tmp_path):
    unknown = Labgrid(labgrid_farm.options, job_user())
    unknown.acquire("bench-1")
    assert janitor(labgrid_farm.admin(), tmp_path) == []
    assert unknown.holder("bench-1") == unknown.identity
    unknown.release("bench-1")


@pytest.mark.labgrid
@pytest.mark.slow
def test_a_job_that_was_taken_for_dead_is_told_that_it_lost_its_place(labgrid_farm, device, tmp_path):
    with (
        LabgridJob(labgrid_farm.options, tmp_path, grace_s=60.0, interval_s=0.5) as job,
        job.hold(device["bench-1"]) as hold,
    ):
        assert [freed.place for freed in janitor(labgrid_farm.admin(), tmp_path, ttl_s=0.0)] == ["bench-1"]

        def lost() -> bool:
            try:
                hold.check()
            except LeaseLostError as error:
                return "nobody holds it now" in str(error)
            return False

        wait_until(lost, "the loss is noticed")


def test_a_state_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "labgrid").mkdir()
    heartbeat = Heartbeat(tmp_path, job_user())
    (tmp_path / "labgrid").rmdir()
    (tmp_path / "labgrid").write_text("")
    with pytest.raises(ConfigError, match=r"labgrid/hil-.*json can't be written: .*farm: \{state: FOLDER\}"):
        heartbeat.beat(["bench-1"])
