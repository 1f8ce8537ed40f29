"""Faults of a debug probe that is the link, and of other programs that want the same probe or the same core."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

from harness.boards.virtual.core.debug_registers import DFSR_HALTED
from harness.boards.virtual.faults.board_faults import BLOCKS, before_transfers, later
from harness.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.boards.virtual.faults.fault import ActiveFault, Install, Parts

_MOST_S = 30.0


def _needs_probe(board: Parts, active: ActiveFault) -> None:
    if board.link != "probe":
        raise ConfigError(f"fault {active.fault.kind!r} needs a board with `link: probe` in devices.yaml")


class _Blocks:
    """Counts the blocks that go to and from a core that isn't halted: what the link carries, and no flashing."""

    def __init__(self, board: Parts, active: ActiveFault) -> None:
        self._machine = board.machine
        self._after = active.fault.after
        self._seen = 0

    def due(self, name: str) -> bool:
        """Tell whether a transfer is behind those that come through."""
        self._seen += name in BLOCKS and not self._machine.halted
        return self._seen > self._after and not self._machine.halted


def _flip(board: Parts, active: ActiveFault) -> None:
    """Invert two bits of a word, so that its parity is right."""
    _needs_probe(board, active)
    noise = random.Random(f"flip/{active.fault.seed}")  # noqa: S311 - must repeat from run to run
    blocks = _Blocks(board, active)

    def damage(name: str, words: list[int]) -> list[int]:
        if name in BLOCKS and blocks.due(name) and active.strike():
            words[noise.randrange(len(words))] ^= sum(1 << bit for bit in noise.sample(range(32), 2))
        return words

    board.dap.damage = damage


def _gone(board: Parts, active: ActiveFault) -> None:
    _needs_probe(board, active)
    blocks, until = _Blocks(board, active), 0.0

    def act(name: str) -> None:
        nonlocal until
        if blocks.due(name) and active.strike():
            until = time.monotonic() + min(active.fault.value, _MOST_S)
            fail()
        if time.monotonic() < until:
            fail()

    def fail() -> None:
        from pyocd.core import exceptions  # noqa: PLC0415 - pyOCD takes a while to import

        raise exceptions.ProbeDisconnected("the probe was unplugged (injected)")

    before_transfers(board, act)


def _busy(board: Parts, active: ActiveFault) -> None:
    """Fail to open the probe as libusb does; `after` counts how often it can be opened first."""
    _needs_probe(board, active)
    opened = 0

    def opening() -> None:
        nonlocal opened
        opened += 1
        if opened > active.fault.after and active.strike():
            from pyocd.core import exceptions  # noqa: PLC0415 - as above

            raise exceptions.ProbeError("Unable to claim interface for probe: [Errno 16] Resource busy (injected)")

    board.dap.before_open = opening


def _halt(board: Parts, active: ActiveFault) -> None:
    _needs_probe(board, active)
    later(lambda parts, _: parts.machine.halt(DFSR_HALTED))(board, active)


PROBE_FAULTS: Mapping[str, Install] = {
    "probe.flip": _flip,
    "probe.gone": _gone,
    "probe.busy": _busy,
    "probe.halt": _halt,
}
