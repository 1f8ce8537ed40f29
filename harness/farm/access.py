"""Getting hold of a board of the lab: not somebody else's reservation, its place in labgrid, its lease on this host."""

from __future__ import annotations

import math
import os
from contextlib import ExitStack, contextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Self

from harness.boards.opening import open_board
from harness.config import Lab
from harness.errors import ConfigError, FarmError, HilError, ReservedError
from harness.farm.calendar import Calendar
from harness.farm.labgrid_janitor import janitor
from harness.farm.place_hold import LabgridJob
from harness.health.book import HealthBook
from harness.locks.state import hostname, is_here, now, state_folder, username
from harness.locks.waiting import NOW, Patience, Wait
from harness.text.times import show_time

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from types import TracebackType

    from harness.boards.base import Backend
    from harness.boards.opening import OpenBoard
    from harness.config import Device
    from harness.farm.reservation import Reservation

#: How often it is looked whether a reservation has ended.
_RESERVED_POLL_S = 0.5, 1.0
#: How long labgrid's lock is asked for where the user waits without a limit.
_LONG_S = 7 * 24 * 3600.0


class Access:
    """How one process gets at the boards of a lab. Use it as a context manager, or call `close`.

    A board that devices.yaml doesn't describe is nobody's: the twin of a kind is made anew in each process.

    Args:
        lab: the boards, and how they are shared.
        results_dir: whose runs tell how the boards are.

    Raises:
        ConfigError: the lab names a state folder that can't be used.
    """

    def __init__(self, lab: Lab, results_dir: Path | None = None) -> None:
        self._lab = lab
        self._job: LabgridJob | None = None
        state = _state(lab) if lab.devices else None
        self.book = None if state is None else HealthBook(state, lab.farm.health, results_dir, devices=lab.devices)
        self._calendar = Calendar(state, lab.farm.reservations) if state is not None else None
        self._state = state

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def shared(self, device: Device) -> bool:
        """Whether a device is one that the lab shares, and not the twin of a kind that each process has."""
        return device.lab is not None

    def open(
        self,
        device: Device,
        backend: Backend,
        faults: Sequence[str] = (),
        *,
        unlock: bool = False,
        patience: Patience = NOW,
    ) -> OpenBoard:
        """Open a board, as `open_board` does, once it is this user's to open.

        Args:
            device: as selected.
            backend: where it runs.
            faults: what goes wrong on a virtual board, besides the faults that devices.yaml gives it.
            unlock: whether a locked part may be erased whole.
            patience: whether to wait while somebody else has it.

        Raises:
            ReservedError: somebody else has reserved it for now.
            BusyError: somebody else uses it.
            FarmError: labgrid doesn't answer or refuses.
            BoardError: it can't be opened.
            ConfigError: the device lacks what the backend needs.
        """
        everything = (*device.faults, *faults)
        if not self.shared(device):
            return open_board(device, backend, everything, unlock=unlock, patience=patience)
        self.touch(device)
        self._await_end(device, patience)
        with ExitStack() as undo:
            hold = None
            if self._lab.farm.engine == "labgrid" and _takes_part(device, backend):
                wait_s = _LONG_S if patience.limit_s is None else patience.limit_s
                hold = self._labgrid().hold(device, wait_s, lambda error: patience.tell(f"waiting: {error.words}"))
                undo.callback(hold.release)
            board = open_board(device, backend, everything, unlock=unlock, patience=patience)
            if hold is not None:
                board.holds = (*board.holds, hold)
            undo.pop_all()
        return board

    def _await_end(self, device: Device, patience: Patience) -> None:
        """Wait for the end of somebody else's reservation, as for the end of their run."""
        wait = Wait(patience)
        while True:
            try:
                return self.permit(device)
            except ReservedError as error:
                wait.again(error, _RESERVED_POLL_S)

    def permit(self, device: Device, seconds: float = 0.0) -> None:
        """Refuse a board that somebody else has reserved.

        Args:
            device: of the lab.
            seconds: how long it is needed from now on.

        Raises:
            ReservedError: it is reserved for now, or will be before the time is over.
            ReservationError: the calendar can't be read.
        """
        if self._calendar is None or not self.shared(device):
            return
        self._calendar.check(device.name, username(), now())
        after = self.reserved_next(device) if seconds else None
        if after is not None and after.start < now() + timedelta(seconds=seconds):
            raise ReservedError(
                f"{device.name} is reserved by {after.owner} from {show_time(after.start, now())} on, too soon for "
                f"what takes {seconds:.0f} s"
            )

    def reserved_next(self, device: Device) -> Reservation | None:
        """Return the next reservation of a board by somebody else; None if there is none."""
        if self._calendar is None or not self.shared(device):
            return None
        return self._calendar.until(device.name, username(), now())

    def free_s(self, device: Device) -> float:
        """Return for how long a board is nobody else's, in seconds; infinite if nobody has reserved it.

        Raises:
            ReservationError: the calendar can't be read.
        """
        after = self.reserved_next(device)
        return math.inf if after is None else (after.start - now()).total_seconds()

    def touch(self, device: Device) -> None:
        """Note that this user wants a board, so that a reservation of theirs isn't taken for forgotten."""
        if self._calendar is not None and self.shared(device):
            with suppress(HilError):  # a full disk must not end a measurement
                self._calendar.touch(device.name, username(), now())

    def close(self) -> None:
        """Give back what labgrid still locks. Safe to call twice."""
        if self._job is not None:
            self._job.close()
            self._job = None

    def _labgrid(self) -> LabgridJob:
        if self._job is None:
            if self._state is None:
                raise ConfigError(
                    "labgrid needs a state folder for heartbeats: `farm: {state: FOLDER}` in devices.yaml"
                )
            self._job = LabgridJob(self._lab.farm.labgrid, self._state)
            with suppress(FarmError):  # what a dead job still locks, another one can free later
                janitor(self._job.labgrid, self._state)
        return self._job


@contextmanager
def opened(
    device: Device,
    backend: Backend,
    faults: Sequence[str] = (),
    *,
    unlock: bool = False,
    patience: Patience = NOW,
) -> Iterator[OpenBoard]:
    """Open one board for as long as a `with` lasts, as `Access.open` does with the lab that the device is of.

    Raises:
        BoardError, ConfigError: as there; or it is attached to another host.
    """
    if not is_here(device):
        raise ConfigError(f"{device.name} is attached to {device.host}, and this is {hostname()}: use it there")
    access = Access(Lab.load(device.lab))
    with access, access.open(device, backend, faults, unlock=unlock, patience=patience) as board:
        yield board


def _takes_part(device: Device, backend: Backend) -> bool:
    """Whether a board is one that hosts share: the twin of a real one isn't."""
    return backend == "hardware" or device.backend is not None


def _state(lab: Lab) -> Path | None:
    """Return the state folder; None if the user named none, and theirs can't be written, as in some containers."""
    try:
        return state_folder(lab)
    except ConfigError:
        if lab.farm != type(lab.farm)() or "HIL_STATE" in os.environ:
            raise
        return None
