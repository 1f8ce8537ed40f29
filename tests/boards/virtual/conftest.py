"""The running boards that tests of the virtual board share."""

from __future__ import annotations

import subprocess

import pytest
from virtual_lab import PAIR_INPUT, halted_counts, running_lab

from harness.image.elf import load_image


@pytest.fixture
def lab():
    with running_lab() as opened:
        yield opened


@pytest.fixture
def caller():
    with halted_counts() as opened:
        yield opened


@pytest.fixture(scope="session")
def pair(root, toolchain, tmp_path_factory):  # noqa: ARG001 (skips where there is none)
    """A model of two inputs, with the agent as it is now, and room for larger payloads."""
    image = tmp_path_factory.mktemp("pair") / "pair.elf"
    sizes = f"SIZES_pair=-DHIL_INPUT_BYTES={PAIR_INPUT}u -DHIL_OUTPUT_BYTES=36u"
    make = ["make", "-s", "-C", root / "firmware" / "misbehaving", f"BUILD={image.parent}", sizes, image]
    subprocess.run(make, check=True, capture_output=True, timeout=300)
    return load_image(image)
