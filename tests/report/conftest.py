from __future__ import annotations

import pytest

from fakes.made_cases import make_side, write_run


@pytest.fixture(scope="session")
def side():
    return make_side


@pytest.fixture
def store(tmp_path):
    """Write runs, as the harness would; returns the run's folder."""
    return lambda **about: write_run(tmp_path / "results", **about)
