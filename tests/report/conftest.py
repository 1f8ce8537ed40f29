from __future__ import annotations

import sys

import pytest

from fakes.made_cases import make_side, write_run


@pytest.fixture(scope="session")
def side():
    return make_side


@pytest.fixture
def store(tmp_path):
    """Write runs, as the harness would; returns the run's folder."""
    return lambda **about: write_run(tmp_path / "results", **about)


@pytest.fixture
def uncovered():
    """Leave thousands of repetitions out of the coverage, which would double the time that they take."""
    measuring = sys.modules["coverage"].Coverage.current() if "coverage" in sys.modules else None
    if measuring is None:
        yield
        return
    measuring.stop()
    yield
    measuring.start()
