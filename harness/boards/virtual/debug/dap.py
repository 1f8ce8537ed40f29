"""The debug port at register level: DP, AHB-AP and CTRL-AP, the one place where debug transfers cross."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from harness.boards.virtual.chips.device import RESET_PIN, RESET_SOFT

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from harness.boards.virtual.machine import Machine

_CTRL_IDR, _ROM_BASE = 0x12880000, 0xE00FF003
_CTRL_STAT, _SELECT = 0x4, 0x8
_TARGETID, _DLPIDR, _DLPIDR_V1 = 2, 3, 1  # banks of DPv2, and instance 0 of the protocol with targets to select
_CSW, _TAR, _DRW, _BASE, _IDR = 0x00, 0x04, 0x0C, 0xF8, 0xFC
_RESET, _ERASEALL, _APPROTECTSTATUS = 0x000, 0x004, 0x00C  # ERASEALLSTATUS, 0x008, always reads 0: ready
_CSW_DEVICE_ENABLED, _CSW_INCREMENT = 1 << 6, 0x30
_WRAP = 0x1000  # TAR increments within 4 KB
# A wire takes its time for each transfer. Python's lock would not leave the CPU's thread any, so every so many
# transfers to a CPU that executes it gets some.
_TURNS, _TURN_S = 8, 0.0002


class AccessFaultError(Exception):
    """A debug access failed; `address` is where."""

    def __init__(self, address: int) -> None:
        super().__init__(f"debug access to {address:#010x} failed")
        self.address = address


class DebugPort:
    """What a probe sees at the SWD pins.

    Attributes:
        locked: APPROTECT: the AHB-AP refuses everything until CTRL-AP has erased the chip.
        before_transfer: called with the name of each transfer before it is done; may raise. A transfer of several
            words is a "read_block" or "write_block".
        before_open: called before a probe is opened; may raise.
        damage: given the name of each memory transfer and its words, returns those that arrive.
        transfers: how many transfers there were.
    """

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self.locked = False
        self.before_transfer: Callable[[str], None] | None = None
        self.before_open: Callable[[], None] | None = None
        self.damage: Callable[[str, list[int]], list[int]] | None = None
        self.transfers = 0
        self._select = 0
        self._control = 0
        self._csw = 0x23000002
        self._tar = 0
        self._ctrl_reset = 0

    @property
    def targetid(self) -> int | None:
        """What a probe selects this port by, where several share the wires; None if it is alone."""
        return self._machine.data.targetid

    def _transfer(self, name: str) -> None:
        self.transfers += 1
        self._machine.check()
        if self.before_transfer is not None:
            self.before_transfer(name)
        if self._machine.running and self.transfers % _TURNS == 0:
            self._machine.wait_while_running(_TURN_S)

    def read_dp(self, address: int) -> int:
        """Read a DP register."""
        self._transfer("read_dp")
        if address == 0x0:
            return self._machine.data.dpidr
        bank, target = self._select & 0xF, self._machine.data.targetid
        if address == _CTRL_STAT and bank == 0:
            return self._control | (self._control & 0x50000000) << 1  # power-up acknowledged at once
        if address == _CTRL_STAT and target is not None:
            return {_TARGETID: target, _DLPIDR: _DLPIDR_V1}.get(bank, 0)
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
            words = self._read_memory(count)
            return words if self.damage is None else self.damage("read_ap" if count == 1 else "read_block", words)
        ahb = {
            _CSW: self._csw | _CSW_DEVICE_ENABLED,
            _TAR: self._tar,
            _BASE: _ROM_BASE,
            _IDR: self._machine.data.ap_idr,
        }
        ctrl = {_RESET: self._ctrl_reset, _APPROTECTSTATUS: int(not self.locked), _IDR: _CTRL_IDR}
        ports = {0: ahb, 1: ctrl} if self._machine.bus.has_ctrl_ap else {0: ahb}
        return [ports.get(ap, {}).get(register, 0)] * count

    def write_ap(self, address: int, values: Sequence[int]) -> None:
        """Write an AP register, once for each value.

        Raises:
            AccessFaultError: the memory access behind it failed.
        """
        self._transfer("write_ap" if len(values) == 1 else "write_block")
        ap, register = self._register(address)
        if ap == 0 and register == _DRW:
            if self.damage is not None:
                values = self.damage("write_ap" if len(values) == 1 else "write_block", list(values))
            self._write_memory(values)
            return
        for value in values:
            if (ap, register) == (0, _CSW):
                self._csw = value & ~_CSW_DEVICE_ENABLED
            elif (ap, register) == (0, _TAR):
                self._tar = value & 0xFFFFFFFF
            elif not self._machine.bus.has_ctrl_ap:
                continue
            elif (ap, register) == (1, _RESET):
                self._ctrl_reset = value & 1
                self._machine.hold_in_reset(asserted=bool(value & 1), reason=RESET_SOFT)
            elif (ap, register) == (1, _ERASEALL) and value & 1:
                self._machine.erase_all()
                self.locked = False

    def set_reset_pin(self, *, asserted: bool) -> None:
        """Drive nRESET."""
        self._transfer("reset")
        self._machine.hold_in_reset(asserted=asserted, reason=RESET_PIN)

    def _advance(self, by: int) -> None:
        if self._csw & _CSW_INCREMENT:
            self._tar = self._tar & -_WRAP | self._tar + by & _WRAP - 1

    def _is_block(self, words: int) -> bool:
        """Tell whether so many transfers are of consecutive words."""
        consecutive = self._csw & 3 == 2 and self._csw & _CSW_INCREMENT == 0x10 and self._tar % 4 == 0
        return consecutive and self._tar % _WRAP + 4 * words <= _WRAP

    def _read_memory(self, count: int) -> list[int]:
        if self.locked:
            raise AccessFaultError(self._tar)
        block = self._machine.memory.read(self._tar, 4 * count) if self._is_block(count) else None
        if block is not None:
            self._advance(4 * count)
            return list(struct.unpack(f"<{count}I", block))
        values, size = [], 1 << (self._csw & 3)
        for _ in range(count):
            value = self._machine.debug_read(self._tar, size)
            if value is None:
                raise AccessFaultError(self._tar)
            values.append(value << 8 * (self._tar & 3))
            self._advance(size)
        return values

    def _write_memory(self, values: Sequence[int]) -> None:
        if self.locked:
            raise AccessFaultError(self._tar)
        if self._is_block(len(values)) and self._machine.memory.in_ram(self._tar, 4 * len(values)):
            self._store(struct.pack(f"<{len(values)}I", *(value & 0xFFFFFFFF for value in values)))
            return
        size = 1 << (self._csw & 3)
        for value in values:
            lane = value >> 8 * (self._tar & 3) & (1 << 8 * size) - 1
            self._store(lane.to_bytes(size, "little"))

    def _store(self, data: bytes) -> None:
        if not self._machine.debug_write(self._tar, data):
            raise AccessFaultError(self._tar)
        self._advance(len(data))
