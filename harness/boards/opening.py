"""From a configured device to an open board, on the backend that was chosen."""

from __future__ import annotations

import time
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING

from harness.boards.backends import refuse_faults
from harness.boards.base import Board
from harness.boards.discover import Port
from harness.boards.hardware import HardwareBoard
from harness.boards.leases import leases_of
from harness.boards.port_board import PortBoard
from harness.boards.probe import ProbeBoard
from harness.boards.renode import RenodeBoard, require_renode
from harness.boards.simavr.board import SimavrBoard
from harness.boards.virtual import VirtualMcu
from harness.config.chip import SIMAVR_CHIPS
from harness.errors import ConfigError, LinkError
from harness.locks.lease import take_all
from harness.locks.waiting import NOW

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from harness.boards.base import Backend, Hold
    from harness.config import Device
    from harness.locks.waiting import Patience

OpenBoard = ProbeBoard | PortBoard | RenodeBoard
_BOOT_S, _POLL_S = 30.0, 0.01


class OnTwin(Board):
    """What boards on a software twin have in common.

    Attributes:
        twin: the emulated chip, for what only an emulator can tell (profiles, the lowest address written).
    """

    twin: VirtualMcu
    _make: Callable[[], VirtualMcu]

    def _stopped(self) -> str | None:
        """Say why the firmware stopped, if in a way that a CPU doesn't have."""
        crash = self.twin.crash
        if crash is not None and crash.kind in ("misuse", "emulator limit"):
            return f"the virtual board stopped at PC 0x{crash.pc:08X}: {crash.text}"
        return None

    @property
    def counter_description(self) -> str | None:
        """How the twin counts instructions, in words."""
        return self.twin.counter_description

    @property
    def ended(self) -> bool:
        """Whether the twin has failed inside, which no reset of its chip can mend."""
        return self.twin.failure is not None

    def _renew(self) -> bool:
        """Replace a twin that has failed by another one; False if it hasn't."""
        if not self.ended:
            return False
        self.notes.append(f"the virtual board failed inside ({self.twin.failure!r}), so another one was started")
        self.let_go()
        self.twin.close()
        self.twin = self._make()
        self.twin.start()
        return True

    def close(self) -> None:
        """Let go of everything, and switch the twin off. Safe to call twice."""
        super().close()
        self.twin.close()


class VirtualBoard(OnTwin, ProbeBoard):
    """The software twin, behind the same pyOCD and pyserial as a real board."""

    vanish_s = 0.0

    def __init__(
        self, device: Device, faults: Sequence[str] = (), holds: tuple[Hold, ...] = (), *, unlock: bool = False
    ) -> None:
        self.holds = holds
        self._make = _virtual(device, faults)
        with ExitStack() as undo:
            self.twin = undo.enter_context(self._make())
            uid, port = self.twin.probe_uid, self.twin.port
            super().__init__(device.name, device.kind, "virtual", uid, port, device.link, unlock=unlock)
            undo.pop_all()

    def locate_port(self) -> str:
        """Say where the serial port is now: the twin's may come back under another name."""
        if not self.twin.port:
            raise LinkError(f"{self.name}: there is no USB port; the firmware has not joined the bus")
        return self.twin.port

    def crash_report(self) -> str | None:
        """Say why the firmware stopped; the twin knows of more ways to stop than a CPU has."""
        return self._stopped() or super().crash_report()

    def reconnect(self) -> None:
        """Let go of probe and port, and open them again; a twin that has failed is replaced by another one.

        Raises:
            ProbeError: the probe is gone.
        """
        if self._renew():
            self.probe_uid, self.port = self.twin.probe_uid, self.twin.port
        super().reconnect()


class VirtualPortBoard(OnTwin, PortBoard):
    """The software twin on nothing but its USB cable: Arduino's bootloader flashes it, as it does a real board."""

    def __init__(self, device: Device, faults: Sequence[str] = (), holds: tuple[Hold, ...] = ()) -> None:
        self._make = partial(_virtual(device, faults), bootloader=True)
        with ExitStack() as undo:
            self.twin = undo.enter_context(self._make())
            self._await_port(device.name)
            super().__init__(device, self._seen, holds, "virtual")
            undo.pop_all()

    def _await_port(self, name: str) -> None:
        deadline = time.monotonic() + _BOOT_S
        while not self.twin.port:
            if time.monotonic() >= deadline:
                raise LinkError(f"{name}: the virtual board doesn't join the bus; {self.twin.crash}")
            time.sleep(_POLL_S)

    def _seen(self) -> Port:
        """Return what a computer would list of the twin's port."""
        path, identity = self.twin.port, self.twin.usb_identity
        if not path or identity is None:
            raise LinkError(f"{self.twin.name}: there is no USB port; the firmware has not joined the bus")
        return Port.of_usb(path, identity[:2], identity[2])

    def crash_report(self) -> str | None:
        """Say why the firmware stopped, if the twin knows; like a real one, it has no probe to ask through."""
        return self._stopped() or super().crash_report()

    def reconnect(self) -> None:
        """Let go of the port, and replace a twin that has failed."""
        if self._renew():
            self._await_port(self.name)
        super().reconnect()


def _virtual(device: Device, faults: Sequence[str]) -> partial[VirtualMcu]:
    if device.kind.twin is None:
        raise ConfigError(f"{device.name}: {device.kind.title} has no virtual board; attach a real one")
    return partial(VirtualMcu, device.name, device.kind, faults=faults, link=device.link)


def open_board(
    device: Device,
    backend: Backend,
    faults: Sequence[str] = (),
    *,
    unlock: bool = False,
    patience: Patience = NOW,
) -> OpenBoard:
    """Open a device on a backend that `backends.choose_backend` gave.

    Args:
        device: the device that was asked for.
        backend: what is to stand behind it: hardware, virtual or renode.
        faults: what goes wrong on a virtual board (docs/faults.md).
        unlock: whether a locked part may be erased whole, bootloader included.
        patience: whether to wait while another run has the board.

    Raises:
        BusyError: another run has the board, and didn't release it in time.
        BoardError: probe or port can't be opened, or Renode can't be started.
        ConfigError: the device lacks what the backend needs.
    """
    if faults and backend != "virtual":
        raise ConfigError(f"{device.name}: faults can be injected into a virtual board only; use `--backend virtual`")
    if backend == "renode":
        return RenodeBoard(device, require_renode())
    if backend == "hardware" and device.probe is None and device.port is None:
        raise ConfigError(f"{device.name}: no probe is configured in devices.yaml, so the board can't be flashed")
    with ExitStack() as undo:
        holds = take_all(leases_of(device, backend), patience, undo)
        board: OpenBoard
        if backend == "virtual" and device.kind.twin in SIMAVR_CHIPS:
            refuse_faults(device, faults)
            board = SimavrBoard(device, holds)
        elif backend == "virtual":
            board = (
                VirtualPortBoard(device, faults, holds)
                if device.flasher == "arduino"
                else VirtualBoard(device, faults, holds, unlock=unlock)
            )
        elif device.probe is None:
            board = PortBoard(device, holds=holds)
        else:
            board = HardwareBoard(device, holds, unlock=unlock)
        undo.pop_all()
    return board
