"""devices.yaml and suite files, read into frozen models; errors name file, line and key."""

from __future__ import annotations

from harness.config.board import BoardKind, Region, shipped_kinds
from harness.config.inputs import ArrayFile, Inputs
from harness.config.lab import Device, Lab, PortMatch, find_lab
from harness.config.suite import Limit, Suite, Variant, load_suite

__all__ = [
    "ArrayFile",
    "BoardKind",
    "Device",
    "Inputs",
    "Lab",
    "Limit",
    "PortMatch",
    "Region",
    "Suite",
    "Variant",
    "find_lab",
    "load_suite",
    "shipped_kinds",
]
