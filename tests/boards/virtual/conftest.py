"""The running boards that tests of the virtual board share."""

from __future__ import annotations

import pytest
from virtual_lab import halted_counts, running_lab


@pytest.fixture
def lab():
    with running_lab() as opened:
        yield opened


@pytest.fixture
def caller():
    with halted_counts() as opened:
        yield opened
