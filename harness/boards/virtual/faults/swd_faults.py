"""Faults of the debug connection and of the flash behind it."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from harness.boards.virtual.board import VirtualNrf52840
    from harness.boards.virtual.faults.parse import ActiveFault

_FICR_PART = 0x100
_BLOCKS = ("read_block", "write_block")


def _before(twin: VirtualNrf52840, act: Callable[[str], None]) -> None:
    """Act before every transfer, given its name, after what is done there already."""
    earlier = twin.dap.before_transfer

    def hook(name: str) -> None:
        if earlier is not None:
            earlier(name)
        act(name)

    twin.dap.before_transfer = hook


def _failing(error: str, text: str) -> Callable[[VirtualNrf52840, ActiveFault], None]:
    """Fail `times` transfers, one after the other, with one of pyOCD's errors.

    Only transfers of blocks count for `after`: how often pyOCD polls a single word depends on the host's speed.
    """

    def install(twin: VirtualNrf52840, active: ActiveFault) -> None:
        seen = 0

        def act(name: str) -> None:
            nonlocal seen
            seen += name in _BLOCKS
            if seen > active.fault.after and active.strike():
                from pyocd.core import exceptions  # noqa: PLC0415 - pyOCD takes a while to import

                raise getattr(exceptions, error)(text)

        _before(twin, act)

    return install


def _stuck(twin: VirtualNrf52840, active: ActiveFault) -> None:
    nvmc = twin.machine.bus.nvmc
    earlier, address = nvmc.resists, int(active.fault.value) & ~3

    def resists(word: int) -> bool:
        return (earlier is not None and earlier(word)) or (word == address and active.strike())

    nvmc.resists = resists


def _locked(twin: VirtualNrf52840, active: ActiveFault) -> None:
    active.strike()
    twin.dap.locked = True


def _part(twin: VirtualNrf52840, active: ActiveFault) -> None:
    active.strike()
    word = np.frombuffer(struct.pack("<I", int(active.fault.value)), np.uint8)
    twin.machine.memory.ficr[_FICR_PART : _FICR_PART + 4] = word


SWD_FAULTS: Mapping[str, Callable[[VirtualNrf52840, ActiveFault], None]] = {
    "swd.fault": _failing("TransferFaultError", "injected FAULT answer"),
    "swd.timeout": _failing("TransferTimeoutError", "injected time-out"),
    "swd.unplug": _failing("ProbeDisconnected", "the probe was unplugged (injected)"),
    "swd.stuck": _stuck,
    "swd.locked": _locked,
    "swd.part": _part,
}
