"""What a run asks in a lab that people share: reservations, labgrid's places, and which boards are in quarantine."""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Self

from harness.config import Lab
from harness.config.state import hostname, is_here, now, state_folder, username
from harness.errors import ConfigError, ReservedError, StoreError
from harness.farm.calendar import Calendar
from harness.farm.labgrid import Labgrid
from harness.health.book import HealthBook
from harness.locks.waiting import NOW, Patience, Wait
from harness.run.access import Access
from harness.text.times import show_time

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from harness.boards.base import Backend
    from harness.boards.opening import OpenBoard
    from harness.config import Device
    from harness.run.options import Options

#: Reservations that begin within this time are worth a line.
_SOON = timedelta(hours=12)
#: How often it is looked whether a reservation has ended.
_RESERVED_POLL_S = 0.5, 1.0


class LabAccess(Access):
    """The boards of a lab: not in quarantine, not somebody else's reservation, their place in labgrid, their lock.

    A board that devices.yaml doesn't describe is nobody's: the twin of a kind is made anew in each process.

    Args:
        lab: the boards, and how they are shared.
        results_dir: whose runs tell how the boards are; None if somebody else judges them.
        judges: whether what a board does is held for or against it: not with faults that the run injects on purpose.

    Attributes:
        book: how the boards are; None without a state folder.
        calendar: who has reserved them.

    Raises:
        ConfigError: the lab names a state folder that can't be used.
    """

    def __init__(self, lab: Lab, results_dir: Path | None = None, *, judges: bool = True) -> None:
        super().__init__(lab)
        state = _state(lab) if lab.devices else None
        self.book = None if state is None else HealthBook(state, lab.farm.health, results_dir, devices=lab.devices)
        self.calendar = Calendar(lab)
        self._labgrid = Labgrid(lab.farm.labgrid)
        self._judges = judges
        self._reviews = results_dir is not None
        self._noted = self._failed = False

    @classmethod
    def of(cls, options: Options) -> Self:
        """Return the access to the boards of the lab that a user's options name.

        Raises:
            ConfigError: devices.yaml is wrong.
        """
        alone = options.shared is None or options.shared.waits  # else its driver judges, who knows what siblings did
        results_dir = options.results_dir if alone else None
        return cls(Lab.load(options.lab_file), results_dir, judges=not options.virtual_faults)

    def check(self, device: Device) -> None:
        """Refuse a board that is in quarantine.

        Raises:
            QuarantinedError: it is.
        """
        if self.book is not None and self._counts(device):
            if self._failed:  # here the case is over: while it may be tried again, its failures don't count
                with suppress(StoreError):  # the results matter more
                    self._review()
            self.book.check(device.name)

    def open(
        self,
        device: Device,
        backend: Backend,
        faults: Sequence[str] = (),
        *,
        unlock: bool = False,
        patience: Patience = NOW,
    ) -> OpenBoard:
        """Open a board once it is this user's to open; the arguments are those of `Access.open`.

        Raises:
            ReservedError: somebody else has reserved it for now.
            ReservationError: nobody knows, because the calendar can't be read.
            FarmError: labgrid doesn't answer or refuses.
            BusyError, BoardError, ConfigError: as there.
        """
        if not _shared(device):
            return super().open(device, backend, faults, unlock=unlock, patience=patience)
        wait, place = Wait(patience), None
        while True:
            try:
                self.permit(device)
                break
            except ReservedError as error:
                wait.again(error, _RESERVED_POLL_S)
        if device.labgrid is not None and (backend == "hardware" or device.backend is not None):  # hosts share no twin
            place = self._labgrid.acquire(device, patience)
        try:
            board = super().open(device, backend, faults, unlock=unlock, patience=patience)
        except BaseException:
            if place is not None:
                place.release()
            raise
        board.holds = board.holds if place is None else (*board.holds, place)
        return board

    def notices(self, device: Device) -> list[str]:
        """Say that a board is out of use, or reserved now or soon, and if the calendar is an old copy."""
        lines = []
        found = self.book.quarantined(device.name) if self.book and self._counts(device) else None
        if found is not None:
            lines.append(f"     NOT USED: {found.text}")
        try:
            self.permit(device)
            after = self.calendar.next(device.name, username(), now()) if _shared(device) else None
            if after is not None and after.start - now() < _SOON:
                lines.append(f"     reserved by {after.owner} from {show_time(after.start, now())} on")
        except ReservedError as error:
            lines.append(f"     {str(error).removeprefix(f'{device.name} is ')}")
        if self.calendar.warning is not None:
            lines.append(f"     {self.calendar.warning}")
        return lines

    def permit(self, device: Device, seconds: float = 0.0) -> None:
        """Refuse a board that somebody else has reserved, now or within so many seconds.

        Raises:
            ReservedError: it is.
            ReservationError: the calendar can't be read.
        """
        if _shared(device):
            self.calendar.check(device.name, username(), now(), seconds)

    def attempt_ended(self, device: Device, attempt: Mapping[str, Any]) -> None:
        """Note that there is something to judge: at the next `check` if it failed, else when the run ends."""
        if self._reviews and self._counts(device):
            self._noted = True
            self._failed = self._failed or attempt["outcome"] == "failed"

    def close(self) -> None:
        """Judge the boards. Safe to call twice."""
        if self._noted:
            with suppress(StoreError):  # the next run will do it
                self._review()

    def _counts(self, device: Device) -> bool:
        """Whether a board is one that the lab judges, and not the twin of a kind that each process has."""
        return self._judges and _shared(device)

    def _review(self) -> None:
        self._noted = self._failed = False
        for made in self.book.review() if self.book is not None else ():
            self.log(made.device, made.text)


@contextmanager
def opened(
    device: Device,
    backend: Backend,
    faults: Sequence[str] = (),
    *,
    unlock: bool = False,
    patience: Patience = NOW,
) -> Iterator[OpenBoard]:
    """Open one board for as long as a `with` lasts, as `LabAccess.open` does with the lab that the device is of.

    Raises:
        BoardError, ConfigError: as there; or it is attached to another host.
    """
    if not is_here(device):
        raise ConfigError(f"{device.name} is attached to {device.host}, and this is {hostname()}: use it there")
    access = LabAccess(Lab.load(device.lab))
    with access.open(device, backend, faults, unlock=unlock, patience=patience) as board:
        yield board


def _shared(device: Device) -> bool:
    """Whether a device is one that the lab shares, and not the twin of a kind that each process has."""
    return device.lab is not None


def _state(lab: Lab) -> Path | None:
    """Return the state folder; None if the user named none, and theirs can't be written, as in some containers."""
    try:
        return state_folder(lab)
    except ConfigError:
        if lab.farm != type(lab.farm)() or "HIL_STATE" in os.environ:
            raise
        return None
