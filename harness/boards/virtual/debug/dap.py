"""The debug port at register level: DP, AHB-AP and CTRL-AP, the one place where debug transfers cross."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from harness.boards.virtual.chips.peripheral import RESET_PIN, RESET_SOFT
from harness.boards.virtual.core.scs import PPB, PPB_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from harness.boards.virtual.machine import Machine

_DPIDR, _AHB_IDR, _CTRL_IDR, _ROM_BASE = 0x2BA01477, 0x24770011, 0x12880000, 0xE00FF003
_CTRL_STAT, _SELECT = 0x4, 0x8
_CSW, _TAR, _DRW, _BASE, _IDR = 0x00, 0x04, 0x0C, 0xF8, 0xFC
_RESET, _ERASEALL, _APPROTECTSTATUS = 0x000, 0x004, 0x00C  # ERASEALLSTATUS, 0x008, always reads 0: ready
_CSW_DEVICE_ENABLED, _CSW_INCREMENT = 1 << 6, 0x30
_WRAP = 0x1000  # TAR increments within 4 KB


class AccessFaultError(Exception):
    """A debug access failed; `address` is where."""

    def __init__(self, address: int) -> None:
        """Remember where."""
        super().__init__(f"debug access to {address:#010x} failed")
        self.address = address


class DebugPort:
    """What a probe sees at the SWD pins.

    Attributes:
        locked: APPROTECT: the AHB-AP refuses everything until CTRL-AP has erased the chip.
        before_transfer: called with the name of each transfer before it is done; may raise. A transfer of several
            words is a "read_block" or "write_block".
        transfers: how many transfers there were.
    """

    def __init__(self, machine: Machine) -> None:
        """Connect to a chip."""
        self._machine = machine
        self.locked = False
        self.before_transfer: Callable[[str], None] | None = None
        self.transfers = 0
        self._select = 0
        self._control = 0
        self._csw = 0x23000002
        self._tar = 0
        self._ctrl_reset = 0

    def _transfer(self, name: str) -> None:
        self.transfers += 1
        self._machine.check()
        if self.before_transfer is not None:
            self.before_transfer(name)

    def read_dp(self, address: int) -> int:
        """Read a DP register."""
        self._transfer("read_dp")
        if address == 0x0:
            return _DPIDR
        if address == _CTRL_STAT and self._select & 0xF == 0:
            return self._control | (self._control & 0x50000000) << 1  # power-up acknowledged at once
        return 0

    def write_dp(self, address: int, value: int) -> None:
        """Write a DP register."""
        self._transfer("write_dp")
        if address == _CTRL_STAT and self._select & 0xF == 0:
            self._control = value
        elif address == _SELECT:
            self._select = value

    def _register(self, address: int) -> tuple[int, int]:
        return self._select >> 24, self._select & 0xF0 | address & 0xC

    def read_ap(self, address: int, count: int = 1) -> list[int]:
        """Read an AP register `count` times.

        Raises:
            AccessFaultError: the memory access behind it failed.
        """
        self._transfer("read_ap" if count == 1 else "read_block")
        ap, register = self._register(address)
        if ap == 0 and register == _DRW:
            return self._read_memory(count)
        if ap == 0:
            value = {_CSW: self._csw | _CSW_DEVICE_ENABLED, _TAR: self._tar, _BASE: _ROM_BASE, _IDR: _AHB_IDR}
            return [value.get(register, 0)] * count
        if ap == 1:
            value = {_RESET: self._ctrl_reset, _APPROTECTSTATUS: int(not self.locked), _IDR: _CTRL_IDR}
            return [value.get(register, 0)] * count
        return [0] * count

    def write_ap(self, address: int, values: Sequence[int]) -> None:
        """Write an AP register, once for each value.

        Raises:
            AccessFaultError: the memory access behind it failed.
        """
        self._transfer("write_ap" if len(values) == 1 else "write_block")
        ap, register = self._register(address)
        if ap == 0 and register == _DRW:
            self._write_memory(values)
            return
        for value in values:
            if ap == 0:
                self._write_ahb(register, value)
            elif ap == 1:
                self._write_ctrl(register, value)

    def _write_ahb(self, register: int, value: int) -> None:
        if register == _CSW:
            self._csw = value & ~_CSW_DEVICE_ENABLED
        elif register == _TAR:
            self._tar = value & 0xFFFFFFFF

    def _write_ctrl(self, register: int, value: int) -> None:
        if register == _RESET:
            self._ctrl_reset = value & 1
            self._machine.hold_in_reset(asserted=bool(value & 1), reason=RESET_SOFT)
        elif register == _ERASEALL and value & 1:
            self._machine.erase_all()
            self.locked = False

    def set_reset_pin(self, *, asserted: bool) -> None:
        """Drive nRESET."""
        self._transfer("reset")
        self._machine.hold_in_reset(asserted=asserted, reason=RESET_PIN)

    def _next(self, size: int) -> None:
        if self._csw & _CSW_INCREMENT:
            self._tar = self._tar & -_WRAP | self._tar + size & _WRAP - 1

    def _read_memory(self, count: int) -> list[int]:
        size = 1 << (self._csw & 3)
        if self.locked:
            raise AccessFaultError(self._tar)
        found = self._machine.memory.find(self._tar, 4 * count)
        if found is not None and size == 4 and self._csw & 0x30 == 0x10 and self._tar % 4 == 0:
            content, offset = found
            if self._tar % _WRAP + 4 * count <= _WRAP:
                self._tar = self._tar & -_WRAP | self._tar + 4 * count & _WRAP - 1
                return [int(word) for word in content[offset : offset + 4 * count].view("<u4").tolist()]
        values = []
        for _ in range(count):
            values.append(self._read_one(self._tar, size) << 8 * (self._tar & 3))
            self._next(size)
        return values

    def _read_one(self, address: int, size: int) -> int:
        machine = self._machine
        data = machine.memory.read(address, size)
        if data is not None:
            return int.from_bytes(data, "little")
        if PPB <= address < PPB + PPB_BYTES:
            return machine.debug_read(address, size)
        value = machine.debug_read_peripheral(address, size)
        if value is None:
            raise AccessFaultError(address)
        return value

    def _write_memory(self, values: Sequence[int]) -> None:
        size = 1 << (self._csw & 3)
        if self.locked:
            raise AccessFaultError(self._tar)
        whole = self._machine.memory.in_ram(self._tar, 4 * len(values)) and self._tar % _WRAP + 4 * len(values) <= _WRAP
        if whole and size == 4 and self._csw & 0x30 == 0x10 and self._tar % 4 == 0:
            self._machine.debug_write_memory(self._tar, np.array(values, "<u4").tobytes())
            self._tar = self._tar & -_WRAP | self._tar + 4 * len(values) & _WRAP - 1
            return
        for value in values:
            lane = value >> 8 * (self._tar & 3) & (1 << 8 * size) - 1
            self._write_one(self._tar, lane, size)
            self._next(size)

    def _write_one(self, address: int, value: int, size: int) -> None:
        machine = self._machine
        if machine.memory.find(address, size) is not None:
            done = machine.debug_write_memory(address, value.to_bytes(size, "little"))
        elif PPB <= address < PPB + PPB_BYTES:
            done = machine.debug_write(address, value, size)
        else:
            done = machine.debug_write_peripheral(address, value)
        if not done:
            raise AccessFaultError(address)
