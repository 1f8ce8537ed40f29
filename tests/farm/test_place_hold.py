"""A place of a real labgrid is held by one job, and the job is told when it isn't any more."""

from __future__ import annotations

import re
import threading
import time
from dataclasses import replace

import pytest

from fakes.labgrid_farm import wait_until
from harness.config.farm import LabgridOptions
from harness.errors import BusyError, ConfigError, FarmError, LeaseLostError, ReservedError
from harness.farm.labgrid_text import Place, Resource
from harness.farm.labgrid_view import View
from harness.farm.place_hold import GRACE_S, LabgridJob, PlaceHold


@pytest.fixture
def device(labgrid_lab):
    return {device.name: device for device in labgrid_lab.devices}


@pytest.fixture
def job(labgrid_farm, tmp_path):
    """A job that loses no place only because this computer is busy."""
    with LabgridJob(labgrid_farm.options, tmp_path, grace_s=60.0, interval_s=0.5) as job:
        yield job


@pytest.fixture
def other(labgrid_farm, tmp_path):
    with LabgridJob(labgrid_farm.options, tmp_path, grace_s=60.0, interval_s=0.5) as job:
        yield job


def lost(hold) -> bool:
    try:
        hold.check()
    except LeaseLostError:
        return True
    return False


@pytest.mark.labgrid
def test_one_job_holds_a_place_and_the_other_is_told_who(job, other, device):
    with job.hold(device["bench-1"]) as hold:
        assert job.labgrid.holder("bench-1") == job.labgrid.identity
        hold.check()
        with pytest.raises(
            BusyError, match=rf"^bench-1: place bench-1 .* in use by {job.labgrid.identity}; wait until .* add --wait"
        ):
            other.hold(device["bench-1"])
        with pytest.raises(BusyError, match="in use by this program"):
            job.hold(device["bench-1"])
        with other.hold(device["far"]) as far:
            assert far.place == "bench-3"
            assert other.labgrid.holder("bench-3") == other.labgrid.identity
    assert job.labgrid.holder("bench-1") is None
    assert other.labgrid.holder("bench-3") is None
    hold.release()


@pytest.mark.labgrid
def test_waiting_ends_when_the_place_is_free_or_the_time_is_over(job, other, device):
    hold = job.hold(device["bench-1"])
    told = []

    def free_soon(reason):
        told.append(str(reason))
        threading.Timer(0.5, hold.release).start()

    with other.hold(device["bench-1"], wait_s=60.0, on_wait=free_soon) as taken:
        taken.check()
        (reason,) = told
        assert job.labgrid.identity in reason
        with pytest.raises(BusyError, match=f"{other.labgrid.identity}; waited 1 s"):
            job.hold(device["bench-1"], wait_s=1.0)


@pytest.mark.labgrid
def test_a_place_that_is_missing_unplugged_or_reserved_says_so(job, device, labgrid_farm):
    with pytest.raises(ConfigError, match=r"labgrid has no place bench \(there is: bench-1, .*`place:` in devices"):
        job.hold(device["lost"])
    with pytest.raises(FarmError, match="no exporter offers what it matches"):
        job.hold(device["unplugged"])
    said = labgrid_farm.client("reserve", "name=bench-2")
    try:
        with pytest.raises(ReservedError, match=r"bench-2: place bench-2 in labgrid is reserved for somebody else"):
            job.hold(device["bench-2"])
    finally:
        labgrid_farm.client("cancel-reservation", said.split("'")[1])


@pytest.mark.labgrid
@pytest.mark.slow
def test_a_place_that_another_takes_is_lost_for_good(job, device, labgrid_farm):
    hold = job.hold(device["bench-1"])
    labgrid_farm.client("release", "--kick", place="bench-1")
    labgrid_farm.client("acquire", place="bench-1", user="anna")
    wait_until(lambda: lost(hold), "the loss is noticed")
    with pytest.raises(LeaseLostError, match=r"lost: (desk/anna|nobody) holds it now.*has to be repeated"):
        hold.check()
    hold.release()
    assert job.labgrid.holder("bench-1") == "desk/anna", "what is another's isn't released"
    labgrid_farm.client("release", place="bench-1")
    with job.hold(device["bench-1"]) as again:
        again.check()
        assert lost(hold)


@pytest.mark.labgrid
@pytest.mark.slow
def test_a_killed_exporter_loses_its_places_and_no_others(job, device, labgrid_farm):
    near, far = job.hold(device["bench-1"]), job.hold(device["far"])
    labgrid_farm.kill("host2")
    try:
        wait_until(lambda: lost(far), "the loss is noticed")
        with pytest.raises(LeaseLostError, match=r"far: place bench-3 .* exporter host2 went away with host2/bench-3/"):
            far.check()
        near.check()
        far.release()
    finally:
        labgrid_farm.start_exporter("host2", ["bench-3"])
    with job.hold(device["far"]) as again:
        again.check()
    near.release()


@pytest.mark.labgrid
@pytest.mark.slow
def test_a_coordinator_that_hangs_for_seconds_is_borne(labgrid_farm, device, tmp_path):
    with (
        LabgridJob(labgrid_farm.options, tmp_path, grace_s=GRACE_S, interval_s=0.5) as job,
        job.hold(device["bench-1"]) as hold,
    ):
        labgrid_farm.pause("coordinator")
        try:
            end = time.monotonic() + 6.0
            while time.monotonic() < end:
                hold.check()
                time.sleep(0.1)
        finally:
            labgrid_farm.resume("coordinator")
        wait_until(lambda: hold._confirmed > end, "the coordinator was asked again")
        hold.check()
        assert job.labgrid.holder("bench-1") == job.labgrid.identity


@pytest.mark.labgrid
@pytest.mark.slow
def test_a_coordinator_that_is_away_for_longer_than_the_grace_time_loses_the_place(labgrid_farm, device, tmp_path):
    with LabgridJob(labgrid_farm.options, tmp_path, grace_s=4.0, interval_s=0.5) as job:
        hold = job.hold(device["bench-1"])
        labgrid_farm.pause("coordinator")
        try:
            wait_until(lambda: lost(hold), "the loss is noticed")
        finally:
            labgrid_farm.resume("coordinator")
        with pytest.raises(LeaseLostError, match=r"wasn't heard from labgrid for [0-9]+ s") as raised:
            hold.check()
        silence_s = re.search(r"for ([0-9]+) s", str(raised.value))
        assert int(silence_s[1]) >= 4
        hold.release()


@pytest.mark.labgrid
@pytest.mark.slow
def test_a_restarted_coordinator_has_dropped_the_locks_and_the_job_knows(job, device, labgrid_farm):
    hold = job.hold(device["bench-1"])
    labgrid_farm.kill("coordinator")
    time.sleep(1.5)
    hold.check()
    labgrid_farm.start_coordinator()
    wait_until(lambda: lost(hold), "the loss is noticed")
    with pytest.raises(LeaseLostError, match="nobody holds it now: the coordinator was restarted"):
        hold.check()
    hold.release()
    labgrid_farm.revive_exporters()
    with job.hold(device["bench-1"]) as again:
        again.check()


@pytest.mark.labgrid
@pytest.mark.slow
def test_what_could_not_be_released_is_released_when_the_coordinator_answers_again(labgrid_farm, device, tmp_path):
    with LabgridJob(labgrid_farm.options, tmp_path, interval_s=0.5) as job:
        hold = job.hold(device["bench-1"])
        usual_s, job.labgrid._deadline_s = job.labgrid._deadline_s, 1.0
        labgrid_farm.pause("coordinator")
        try:
            hold.release()
        finally:
            labgrid_farm.resume("coordinator")
        job.labgrid._deadline_s = usual_s
        wait_until(lambda: labgrid_farm.admin().holder("bench-1") is None, "the place is free")


def test_a_look_tells_what_has_become_of_a_place(tmp_path):
    job = LabgridJob(LabgridOptions(coordinator="127.0.0.1:1"), tmp_path, grace_s=60.0)
    port = Resource("host1", "g", "NetworkSerialPort", "port", "bench-1", available=True)
    mine = Place("bench-1", {}, ("host1/g/*",), job.labgrid.identity, (port.path,), None)
    now = time.monotonic()

    def loss(asked, places, resources):
        hold = PlaceHold(job, "bench-1", "bench-1", View(now, {"bench-1": mine}, {port.path: port}))
        hold.judge(View(asked, {place.name: place for place in places}, {found.path: found for found in resources}))
        try:
            hold.check()
        except LeaseLostError as error:
            return str(error)
        return None

    assert loss(now, [mine], [port]) is None
    assert loss(now, [mine], [replace(port, available=False, acquired=None)]) is None, "unplugged by a reset"
    assert loss(now - 1.0, [], []) is None, "an answer from before it was acquired says nothing"
    assert "desk/anna holds it now" in loss(now, [replace(mine, acquired="desk/anna")], [port])
    assert "nobody holds it now" in loss(now, [replace(mine, acquired=None)], [port])
    assert "labgrid doesn't know it any more" in loss(now, [], [port])
    assert "exporter host1 went away with host1/g/" in loss(now, [mine], [])


def test_silence_alone_loses_a_place_even_if_the_watch_never_came_back(tmp_path):
    job = LabgridJob(LabgridOptions(coordinator="127.0.0.1:1"), tmp_path, grace_s=60.0)
    mine = Place("bench-1", {}, (), job.labgrid.identity, (), None)
    hold = PlaceHold(job, "bench-1", "bench-1", View(time.monotonic(), {"bench-1": mine}, {}))
    hold.check()
    job.grace_s = 0.01
    time.sleep(0.02)
    with pytest.raises(LeaseLostError, match="wasn't heard from labgrid"):
        hold.check()
    job.grace_s = 60.0
    hold.judge(View(time.monotonic(), {"bench-1": mine}, {}))
    with pytest.raises(LeaseLostError, match="wasn't heard from labgrid"):
        hold.check()
