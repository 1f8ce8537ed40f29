"""Faults of the debug connection and of the flash behind it."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from harness.boards.virtual.faults.fault import ActiveFault, Install, Parts

_FICR_PART = 0x100
_BLOCKS = ("read_block", "write_block")


def _before(board: Parts, act: Callable[[str], None]) -> None:
    """Act before every transfer, given its name, after what is done there already."""
    earlier = board.dap.before_transfer

    def hook(name: str) -> None:
        if earlier is not None:
            earlier(name)
        act(name)

    board.dap.before_transfer = hook


def _failing(error: str, text: str) -> Install:
    """Fail `times` transfers, one after the other, with one of pyOCD's errors.

    Only transfers of blocks count for `after`: how often pyOCD polls a single word depends on the host's speed.
    """

    def install(board: Parts, active: ActiveFault) -> None:
        blocks = 0

        def act(name: str) -> None:
            nonlocal blocks
            blocks += name in _BLOCKS
            if blocks > active.fault.after and active.strike():
                from pyocd.core import exceptions  # noqa: PLC0415 - pyOCD takes a while to import

                raise getattr(exceptions, error)(text)

        _before(board, act)

    return install


def _stuck(board: Parts, active: ActiveFault) -> None:
    nvmc = board.machine.bus.nvmc
    earlier, address = nvmc.resists, int(active.fault.value) & ~3

    def resists(word: int) -> bool:
        return (earlier is not None and earlier(word)) or (word == address and active.strike())

    nvmc.resists = resists


def _locked(board: Parts, active: ActiveFault) -> None:
    active.strike()
    board.dap.locked = True


def _part(board: Parts, active: ActiveFault) -> None:
    active.strike()
    word = np.frombuffer(struct.pack("<I", int(active.fault.value)), np.uint8)
    board.machine.memory.ficr[_FICR_PART : _FICR_PART + 4] = word


SWD_FAULTS: Mapping[str, Install] = {
    "swd.fault": _failing("TransferFaultError", "injected FAULT answer"),
    "swd.timeout": _failing("TransferTimeoutError", "injected time-out"),
    "swd.unplug": _failing("ProbeDisconnected", "the probe was unplugged (injected)"),
    "swd.stuck": _stuck,
    "swd.locked": _locked,
    "swd.part": _part,
}
