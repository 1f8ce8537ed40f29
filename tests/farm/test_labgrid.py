"""labgrid's client as a subprocess: what it can't do is said with the remedy; its queue is kept."""

from __future__ import annotations

import pytest

from harness.config import Lab
from harness.config.farm import LabgridOptions
from harness.errors import BusyError, ConfigError, FarmError, LeaseLostError
from harness.farm.labgrid import Labgrid
from harness.farm.labgrid_inventory import UndescribedPlace, inventory
from harness.farm.labgrid_queue import Queued


def test_a_missing_client_says_how_to_install_and_name_it():
    labgrid = Labgrid(LabgridOptions(coordinator="127.0.0.1:1", client="no-labgrid-client"), "me")
    with pytest.raises(ConfigError, match=r"no-labgrid-client isn't there.*pip install labgrid`.*labgrid: \{client: "):
        labgrid.places()


def test_a_client_given_by_its_path_is_beside_devices_yaml(tmp_path):
    (tmp_path / "devices.yaml").write_text("farm: {engine: labgrid, labgrid: {client: .labgrid/bin/labgrid-client}}\n")
    client = Lab.load(tmp_path / "devices.yaml").farm.labgrid.client
    assert client == str(tmp_path / ".labgrid" / "bin" / "labgrid-client")
    (tmp_path / "devices.yaml").write_text("farm: labgrid\n")
    assert Lab.load(tmp_path / "devices.yaml").farm.labgrid.client == "labgrid-client"


def test_the_coordinator_is_the_one_of_devices_yaml_then_of_the_environment(monkeypatch):
    monkeypatch.setenv("LG_COORDINATOR", "lab:20408")
    assert Labgrid(LabgridOptions(), "me").address == "lab:20408"
    assert Labgrid(LabgridOptions(coordinator="other:1"), "me").address == "other:1"
    monkeypatch.delenv("LG_COORDINATOR")
    assert Labgrid(LabgridOptions(), "me").address == "127.0.0.1:20408"


def test_names_fit_into_labgrids_host_and_user(monkeypatch):
    monkeypatch.setenv("HIL_HOST", "rack/2 left")
    assert Labgrid(LabgridOptions(), "DOMAIN/me").identity == "rack-2-left/DOMAIN-me"


@pytest.mark.labgrid
def test_a_coordinator_that_is_not_there_is_named_with_how_to_start_one(labgrid_programs):
    options = LabgridOptions(coordinator="127.0.0.1:1", client=str(labgrid_programs / "labgrid-client"))
    with pytest.raises(FarmError, match=r"coordinator at 127\.0\.0\.1:1 can't be reached.*labgrid-coordinator -l"):
        Labgrid(options, "me").places()


@pytest.mark.labgrid
def test_a_coordinator_that_hangs_ends_in_an_error(labgrid_farm):
    labgrid_farm.pause("coordinator")
    try:
        with pytest.raises(FarmError, match=r"didn't answer within 1\.5 s"):
            Labgrid(labgrid_farm.options, "me", deadline_s=1.5).places()
    finally:
        labgrid_farm.resume("coordinator")


@pytest.mark.labgrid
def test_a_part_of_a_name_is_not_taken_for_the_place(labgrid_farm):
    labgrid = Labgrid(labgrid_farm.options, "me")
    with pytest.raises(ConfigError, match="labgrid has no place spar "):
        labgrid.acquire("spar")
    assert labgrid.holder("spare") is None


@pytest.mark.labgrid
def test_what_the_user_set_for_labgrid_does_not_lead_elsewhere(labgrid_farm, monkeypatch):
    monkeypatch.setenv("LG_PLACE", "bench-2")
    monkeypatch.setenv("LG_ENV", "/nonexistent.yaml")
    labgrid = Labgrid(labgrid_farm.options, "me")
    labgrid.acquire("bench-1")
    assert [place.name for place in labgrid.places() if place.acquired] == ["bench-1"]
    labgrid.release_from("bench-1", "host1/somebody")
    assert labgrid.holder("bench-1") == "host1/me", "only the one who has it is thrown out"
    labgrid.release("bench-1")
    labgrid.release("bench-1")
    assert labgrid.holder("bench-1") is None


@pytest.mark.labgrid
@pytest.mark.slow
def test_the_queue_serves_one_after_the_other_and_tags_are_anded(labgrid_farm):
    first, second = Labgrid(labgrid_farm.options, "first"), Labgrid(labgrid_farm.options, "second")
    tags = {"board": "nano33", "site": "window"}
    with Queued(first, tags) as mine:
        assert mine.wait(60.0) == "bench-1"
        with Queued(second, tags) as theirs:
            with pytest.raises(BusyError, match="no place with the tags board=nano33 site=window was free"):
                theirs.wait(0.5)
            assert {
                one.owner: one.state for one in first.reservations() if one.owner in (first.identity, second.identity)
            } == {
                "host1/first": "allocated",
                "host1/second": "waiting",
            }
            mine.__exit__(None, None, None)
            assert theirs.wait(60.0) == "bench-1"
            second.acquire("bench-1")
            second.release("bench-1")
    assert not {first.identity, second.identity} & {one.owner for one in first.reservations()}


@pytest.mark.labgrid
@pytest.mark.slow
def test_a_reservation_that_is_taken_away_is_noticed(labgrid_farm):
    labgrid = Labgrid(labgrid_farm.options, "me")
    with Queued(labgrid, {"name": "bench-3", "board": "none"}) as queued:
        (booking,) = (one for one in labgrid.reservations() if one.owner == labgrid.identity)
        labgrid_farm.client("cancel-reservation", booking.token)
        with pytest.raises(LeaseLostError, match=f"no reservation {booking.token} any more"):
            queued.wait(60.0)


@pytest.mark.labgrid
def test_the_inventory_has_the_tags_of_the_places_and_what_is_wrong(labgrid_farm, labgrid_lab):
    found = inventory(Labgrid(labgrid_farm.options, "me"), labgrid_lab, "host1")
    listed = {entry.device.name: entry for entry in found.devices}
    assert listed["bench-1"].device.tags == ("fast", "board=nano33", "nano33", "site=window", "window")
    assert {name: entry.problem for name, entry in listed.items() if entry.problem is None} == {
        "bench-1": None,
        "bench-2": None,
        "far": None,
    }
    assert "labgrid has no place bench (there is:" in listed["lost"].problem
    assert "start labgrid-exporter on host1" in listed["unplugged"].problem
    assert "tagged board=arduino, but devices.yaml calls mixed a nano33" in listed["mixed"].problem
    assert found.undescribed == (UndescribedPlace("spare", "nano33", "host1"),)
    assert [device.name for device in found.lab.select(["window"])] == ["bench-1"]
    elsewhere = inventory(Labgrid(labgrid_farm.options, "me"), labgrid_lab, "host9")
    problems = {entry.device.name: entry.problem for entry in elsewhere.devices}
    assert problems["bench-1"] == "place bench-1 is exported by host1, but bench-1 is attached to host9"
    assert problems["far"] is None
    assert elsewhere.undescribed == ()
