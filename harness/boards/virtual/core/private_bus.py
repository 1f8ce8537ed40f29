"""The private peripheral bus of the core."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.boards.virtual.core.cpu import Cpu
    from harness.boards.virtual.core.debug_registers import DebugRegisters
    from harness.boards.virtual.core.scs import SystemControl

PPB, PPB_BYTES = 0xE0000000, 0x100000
_SCS, _SCS_BYTES = 0xE000E000, 0x1000


class PrivateBus:
    """What the core has for itself at `PPB`: system control and debug registers."""

    def __init__(self, scs: SystemControl, debug: DebugRegisters, cpu: Cpu) -> None:
        """Join system control and debug registers."""
        self._scs = scs
        self._debug = debug
        self._cpu = cpu

    def read(self, address: int, size: int, *, debugger: bool) -> int:
        """Read a register; 0 where there is none."""
        word = address & ~3
        value = self._debug.read(word, debugger=debugger)
        if value is None:
            value = self._scs.read(word - _SCS, self._cpu) if _SCS <= word < _SCS + _SCS_BYTES else 0
        return value >> 8 * (address & 3) & (1 << 8 * size) - 1

    def write(self, address: int, value: int, size: int, *, debugger: bool) -> None:
        """Write a register. Only priorities can be written in bytes."""
        if not self._debug.write(address, value, debugger=debugger) and _SCS <= address < _SCS + _SCS_BYTES:
            self._scs.write(address - _SCS, value, size)
