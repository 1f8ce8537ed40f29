"""A software twin of the Arduino Nano 33 BLE: its chip, its debug port and its serial port."""

from __future__ import annotations

from harness.boards.virtual.board import VirtualNrf52840
from harness.boards.virtual.core.block_table import BlockProfile
from harness.boards.virtual.core.exceptions import Crash
from harness.boards.virtual.faults import parse_fault
from harness.boards.virtual.faults.fault import Fault

__all__ = ["BlockProfile", "Crash", "Fault", "VirtualNrf52840", "parse_fault"]
