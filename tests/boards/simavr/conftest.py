"""What the tests of the emulated Uno need of the system."""

from __future__ import annotations

import shutil

import pytest

from harness.boards.simavr import require_simavr
from harness.errors import ConfigError


@pytest.fixture(scope="session")
def simavr():
    """The emulator; without simavr's library the test is skipped, and says how to install it."""
    try:
        return require_simavr()
    except ConfigError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def avr_gcc():
    """The compiler for AVRs; without it the test is skipped."""
    compiler = shutil.which("avr-gcc")
    if compiler is None:
        pytest.skip("avr-gcc is not installed")
    return compiler
