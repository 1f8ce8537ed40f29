"""A real labgrid for the tests of the farm."""

from __future__ import annotations

import pytest
from filelock import FileLock

from fakes.labgrid_farm import LabgridFarm, find_labgrid

#: What each place matches.
PLACES = {"bench-1": "host1/bench-1/*", "bench-2": "host1/bench-2/*", "unplugged": "host1/nothing/*"}


@pytest.fixture(scope="session")
def labgrid_programs(pytestconfig):
    """The folder with labgrid's programs; without them the test is skipped, and says how to install them."""
    cache = pytestconfig.cache.mkdir("labgrid")
    try:
        with FileLock(cache.with_name("labgrid.lock")):  # another process of the tests may be making it
            return find_labgrid(cache)
    except OSError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def labgrid_session(labgrid_programs, tmp_path_factory):
    with LabgridFarm(tmp_path_factory.mktemp("labgrid"), labgrid_programs, PLACES) as farm:
        farm.start_exporter("host1", ["bench-1", "bench-2"])
        yield farm


@pytest.fixture
def labgrid_farm(labgrid_session, monkeypatch):
    """A coordinator, an exporter host1, and places; this computer is host1. Nobody holds anything."""
    monkeypatch.setenv("HIL_HOST", "host1")
    yield labgrid_session
    held = [place for place in PLACES if labgrid_session.holder(place)]
    for place in held:
        labgrid_session.client("release", "--kick", place=place)
    assert held == [], "the test left places locked"
