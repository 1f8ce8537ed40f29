"""Faults of the serial line, put into its taps. What is damaged depends on the bytes' number, not on how they come."""

from __future__ import annotations

import math
import random
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from harness.boards.virtual.faults.fault import ActiveFault, Install, Parts
    from harness.boards.virtual.ports.serial_line import Line, Tap


def _chain(first: Tap | None, then: Tap) -> Tap:
    if first is None:
        return then
    return lambda data: then(first(data))


def _add(line: Line, to_board: Tap | None, to_host: Tap | None) -> None:
    if to_board is not None:
        line.to_board = _chain(line.to_board, to_board)
    if to_host is not None:
        line.to_host = _chain(line.to_host, to_host)


class _Strikes:
    """Draws where, in a stream of units, something happens at a rate."""

    def __init__(self, active: ActiveFault, way: str, units: int) -> None:
        fault = active.fault
        self._random = random.Random(f"{fault.kind}/{fault.seed}/{way}")  # noqa: S311 - must repeat from run to run
        self._rate = fault.value
        self._active = active
        self._left = fault.after * units + self._gap()

    def _gap(self) -> int:
        if self._rate >= 1:
            return 0
        return int(math.log(1.0 - self._random.random()) / math.log1p(-self._rate))

    def among(self, count: int) -> list[int]:
        """Return which of the next `count` units are hit."""
        hit = []
        while self._left < count:
            hit.append(self._left)
            self._left += 1 + self._gap()
        self._left -= count
        self._active.struck += len(hit)
        return hit


def _noise(damage: Callable[[_Strikes], Tap], units: int) -> Install:
    def install(board: Parts, active: ActiveFault) -> None:
        _add(board.line, damage(_Strikes(active, "to board", units)), damage(_Strikes(active, "to host", units)))

    return install


def _flip(strikes: _Strikes) -> Tap:
    def tap(data: bytes) -> bytes:
        damaged = bytearray(data)
        for bit in strikes.among(8 * len(data)):
            damaged[bit // 8] ^= 1 << bit % 8
        return bytes(damaged)

    return tap


def _repeat(copies: int) -> Callable[[_Strikes], Tap]:
    def damage(strikes: _Strikes) -> Tap:
        def tap(data: bytes) -> bytes:
            hit = set(strikes.among(len(data)))
            return b"".join(data[i : i + 1] * (copies if i in hit else 1) for i in range(len(data)))

        return tap

    return damage


def _reorder(strikes: _Strikes) -> Tap:
    held = b""

    def tap(data: bytes) -> bytes:
        """Hold a byte that is hit until the next one has passed it."""
        nonlocal held
        hit = set(strikes.among(len(data)))
        result = bytearray()
        for index in range(len(data)):
            byte = data[index : index + 1]
            if index in hit and not held:
                held = byte
                continue
            result += byte + held
            held = b""
        return bytes(result)

    return tap


def _at_byte(active: ActiveFault, act: Callable[[], None]) -> Tap:
    """Act once `after` bytes have gone to the host, before the next ones."""
    gone = 0

    def tap(data: bytes) -> bytes:
        nonlocal gone
        if gone >= active.fault.after and active.strike():
            act()
        gone += len(data)
        return data

    return tap


def _stall(board: Parts, active: ActiveFault) -> None:
    _add(board.line, None, _at_byte(active, lambda: time.sleep(min(active.fault.value, 30.0))))


def _vanish(board: Parts, active: ActiveFault) -> None:
    _add(board.line, None, _at_byte(active, board.replace_port))


def _silence(board: Parts, active: ActiveFault) -> None:
    end = active.fault.after + int(active.fault.value) if active.fault.value else math.inf
    gone = 0

    def tap(data: bytes) -> bytes:
        nonlocal gone
        kept = bytes(byte for number, byte in enumerate(data, gone) if not active.fault.after <= number < end)
        gone += len(data)
        active.struck += len(data) - len(kept)
        return kept

    _add(board.line, None, tap)


def _garbage(board: Parts, active: ActiveFault) -> None:
    noise = random.Random(f"garbage/{active.fault.seed}")  # noqa: S311 - must repeat from run to run
    boot = -1

    def tap(data: bytes) -> bytes:
        nonlocal boot
        if board.machine.boots == boot:
            return data
        boot = board.machine.boots
        active.struck += 1
        return noise.randbytes(int(active.fault.value)) + data

    _add(board.line, None, tap)


def _baud(board: Parts, active: ActiveFault) -> None:
    def scramble(way: str, *, to_host: bool) -> Tap:
        noise = random.Random(f"baud/{active.fault.seed}/{way}")  # noqa: S311 - must repeat from run to run
        due = 0.0

        def tap(data: bytes) -> bytes:
            nonlocal due
            ratio = max(active.fault.value, 1.0) / board.line.board_baud
            due += len(data) * (ratio if to_host else 1 / ratio)
            count = int(due)
            due -= count
            active.struck += len(data)
            return noise.randbytes(min(count, 4096))

        return tap

    _add(board.line, scramble("to board", to_host=False), scramble("to host", to_host=True))


SERIAL_FAULTS: Mapping[str, Install] = {
    "serial.flip": _noise(_flip, 8),
    "serial.drop": _noise(_repeat(0), 1),
    "serial.double": _noise(_repeat(2), 1),
    "serial.reorder": _noise(_reorder, 1),
    "serial.stall": _stall,
    "serial.silence": _silence,
    "serial.vanish": _vanish,
    "serial.garbage": _garbage,
    "serial.baud": _baud,
}
