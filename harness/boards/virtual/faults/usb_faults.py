"""Faults of the USB cable and of the computer at its end: what it does to the device, and what other programs do."""

from __future__ import annotations

import contextlib
import os
import random
import select
import threading
import time
from functools import partial
from typing import TYPE_CHECKING

from harness.boards.virtual.faults.board_faults import before_transfers, ensure_bootloader
from harness.boards.virtual.usb.tokens import PACKET
from harness.errors import ConfigError, EmulatorError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from harness.boards.virtual.faults.fault import ActiveFault, Install, Parts
    from harness.boards.virtual.usb.host import CdcHost

_MOST_S = 30.0
_IN_1 = 0x81  # the endpoint that carries what the board says
_OTHERS_BAUD = 9600
_OTHERS_WORDS = b"AT\r"  # what ModemManager says to each new port


def _host(board: Parts, active: ActiveFault) -> CdcHost:
    if board.usb is None:
        raise ConfigError(f"fault {active.fault.kind!r} needs a board on a USB cable: `link: usb` in devices.yaml")
    return board.usb


def _seconds(active: ActiveFault) -> float:
    return min(active.fault.value, _MOST_S)


def _beside(board: Parts, *steps: Callable[[], None], apart_s: float = 0.0) -> None:
    """Do one step after the other, so many seconds apart, in a thread of its own, each while the CPU is paused."""

    def do() -> None:
        with contextlib.suppress(EmulatorError):  # the board was switched off meanwhile
            for number, step in enumerate(steps):
                if number:
                    time.sleep(apart_s)
                with board.machine.paused():
                    step()

    threading.Thread(target=do, name="fault of USB", daemon=True).start()


def _when_due(board: Parts, active: ActiveFault, act: Callable[[], None]) -> None:
    """Act between two tokens, once `after` bytes have come from the device since the port appeared."""
    host = _host(board, active)
    earlier = host.disturb

    def disturb() -> None:
        if earlier is not None:
            earlier()
        if host.identity is not None and host.fetched >= active.fault.after and active.strike():
            act()

    host.disturb = disturb


def _unplug(board: Parts, active: ActiveFault) -> None:
    """Pull the cable, which feeds the board, so that it is dead for the probe, too, until the cable is back."""
    machine, host = board.machine, _host(board, active)
    noise = random.Random(f"unplug/{active.fault.seed}")  # noqa: S311 - must repeat from run to run
    pulled = False

    def check(_name: str) -> None:
        if pulled:
            from pyocd.core import exceptions  # noqa: PLC0415 - pyOCD takes a while to import

            raise exceptions.TransferError("no ACK: the board has no power (injected)")

    def pull() -> None:
        nonlocal pulled
        pulled = machine.in_reset = True
        machine.bus.plug(in_=False)
        host.detached()

    def put_back() -> None:
        nonlocal pulled
        pulled = machine.in_reset = board.line.asleep = False
        ensure_bootloader(board)
        machine.bus.plug(in_=True)
        machine.lose_power(noise.randbytes)

    def act() -> None:
        board.line.asleep = True  # nothing more crosses the cable from here on
        _beside(board, pull, put_back, apart_s=_seconds(active))

    before_transfers(board, check)
    _when_due(board, active, act)


def _suspend(board: Parts, active: ActiveFault) -> None:
    host = _host(board, active)

    def act() -> None:
        board.line.asleep = True
        _beside(board, partial(host.device.suspend, entered=True), wake, apart_s=_seconds(active))

    def wake() -> None:
        board.line.asleep = False
        host.device.suspend(entered=False)

    _when_due(board, active, act)


def _reset(board: Parts, active: ActiveFault) -> None:
    _when_due(board, active, _host(board, active).reset_bus)


def _stall(board: Parts, active: ActiveFault) -> None:
    _when_due(board, active, partial(_host(board, active).halt, int(active.fault.value) or _IN_1))


def _lines(board: Parts, active: ActiveFault) -> None:
    _when_due(board, active, partial(_host(board, active).touch, int(active.fault.value) or _OTHERS_BAUD))


def _short(board: Parts, active: ActiveFault) -> None:
    """Let the host cut what it sends into packets of any length, empty ones among them."""
    host, draw = _host(board, active), random.Random(f"short/{active.fault.seed}")  # noqa: S311 - must repeat
    most = min(int(active.fault.value) or PACKET, PACKET)

    def size() -> int:
        active.struck += 1
        return draw.randrange(most + 1)

    host.packet_size = size


def _taken(board: Parts, active: ActiveFault) -> None:
    """Let another program open the port as soon as it is there, and say something to whoever answers."""
    _host(board, active)

    def hold(descriptor: int) -> None:
        vanishes = select.poll()  # tells when the port is gone, whatever is asked for
        vanishes.register(descriptor, 0)
        vanishes.poll(_seconds(active) * 1000 if active.fault.value else None)
        os.close(descriptor)

    def appears(path: str) -> None:
        if active.strike():
            import fcntl  # noqa: PLC0415 - not on Windows

            descriptor = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.write(descriptor, _OTHERS_WORDS)
            threading.Thread(target=hold, args=(descriptor,), name="another program", daemon=True).start()

    board.on_usb_port = appears


USB_FAULTS: Mapping[str, Install] = {
    "usb.unplug": _unplug,
    "usb.suspend": _suspend,
    "usb.reset": _reset,
    "usb.stall": _stall,
    "usb.short": _short,
    "usb.lines": _lines,
    "usb.taken": _taken,
}
