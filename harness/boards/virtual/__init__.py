"""Software twins of boards: chip, debug port and serial port."""

from __future__ import annotations

from harness.boards.virtual.board import VirtualMcu, VirtualNrf52840
from harness.boards.virtual.core.block_table import BlockProfile
from harness.boards.virtual.core.exceptions import Crash
from harness.boards.virtual.faults import parse_fault
from harness.boards.virtual.faults.fault import Fault

__all__ = ["BlockProfile", "Crash", "Fault", "VirtualMcu", "VirtualNrf52840", "parse_fault"]
