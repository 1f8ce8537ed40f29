"""A real labgrid for the tests of the farm."""

from __future__ import annotations

import tempfile

import pytest
from filelock import FileLock

from fakes.labgrid_farm import LabgridFarm, find_labgrid
from harness.config import Lab

DEVICES = """\
farm: labgrid
devices:
  bench-1: {kind: nano33, backend: virtual, tags: [fast]}
  bench-2: {kind: nano33, backend: virtual}
  far: {kind: nano33, backend: virtual, host: host2, place: bench-3}
  lost: {kind: nano33, backend: virtual, place: bench}
  unplugged: {kind: nano33, backend: virtual}
  mixed: {kind: nano33, backend: virtual}
"""
PLACES = {
    "bench-1": ("host1/bench-1/*", {"board": "nano33", "site": "window"}),
    "bench-2": ("host1/bench-2/*", {"board": "nano33"}),
    "bench-3": ("host2/bench-3/*", {"board": "nano33"}),
    "unplugged": ("host1/nothing/*", {}),
    "mixed": ("host1/mixed/*", {"board": "arduino"}),
    "spare": ("host1/spare/*", {"board": "nano33"}),
}


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
    with LabgridFarm(tmp_path_factory.mktemp("labgrid"), labgrid_programs) as farm:
        farm.add_places(PLACES)
        farm.start_coordinator()
        farm.start_exporter("host1", ["bench-1", "bench-2", "mixed", "spare"])
        farm.start_exporter("host2", ["bench-3"])
        yield farm


@pytest.fixture
def labgrid_farm(labgrid_session, monkeypatch, tmp_path):
    """A coordinator, exporters host1 and host2, and places; this computer is host1. Nobody holds anything."""
    monkeypatch.setenv("HIL_HOST", "host1")
    monkeypatch.setenv("TMPDIR", str(tmp_path))  # where processes share what they hear
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    yield labgrid_session
    held = [place.name for place in labgrid_session.admin().places() if place.acquired]
    for place in held:
        labgrid_session.client("release", "--kick", place=place)
    assert held == [], "the test left places locked"


@pytest.fixture
def labgrid_lab(tmp_path):
    (tmp_path / "devices.yaml").write_text(DEVICES)
    return Lab.load(tmp_path / "devices.yaml")
