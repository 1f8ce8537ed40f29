"""What a run asks in a lab that people share: reservations, labgrid's places, and which boards are in quarantine."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Self

from harness.config import Lab
from harness.errors import ConfigError, ReservedError, StoreError
from harness.farm.access import Access as FarmAccess
from harness.farm.labgrid_inventory import with_places
from harness.health.case_events import Part, event_of_part
from harness.locks.state import hostname, now
from harness.locks.waiting import NOW, Patience
from harness.run.access import Access
from harness.text.times import show_time

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.boards.base import Backend
    from harness.boards.opening import OpenBoard
    from harness.config import Device
    from harness.errors import HilError
    from harness.run.failover import Failover
    from harness.run.options import Options

#: Reservations that begin within this time are worth a line.
_SOON = timedelta(hours=12)


class LabAccess(Access):
    """The boards of a lab: not somebody else's reservation, not in quarantine, their place in labgrid, their lock.

    Args:
        lab: the boards, and how they are shared.
        judges: whether what a board does is held for or against it: not with faults that the run injects on purpose.

    Raises:
        ConfigError: the lab names a state folder that can't be used.
    """

    def __init__(self, lab: Lab, *, judges: bool = True) -> None:
        super().__init__(lab)
        self._farm = FarmAccess(lab)
        self._judges = judges
        self._noted = False

    @classmethod
    def of(cls, options: Options) -> Self:
        """Return the access to the boards of the lab that a user's options name.

        Raises:
            ConfigError: devices.yaml is wrong.
            FarmError: labgrid, which has the tags of the devices, doesn't answer.
        """
        lab = with_places(Lab.load(options.lab_file), options.selectors)
        return cls(lab, judges=not options.virtual_faults)

    def check(self, device: Device) -> None:
        """Refuse a board that is in quarantine, and note that this user wants it.

        Raises:
            QuarantinedError: it is.
        """
        if self._farm.book is not None and self._counts(device):
            self._farm.book.check(device.name)
        self._farm.touch(device)

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
            FarmError: labgrid doesn't answer or refuses.
            BusyError, BoardError, ConfigError: as there.
        """
        return self._farm.open(device, backend, faults, unlock=unlock, patience=patience)

    def notices(self, device: Device) -> list[str]:
        """Say that a board is out of use, or reserved now or soon."""
        lines = []
        found = self._farm.book.quarantined(device.name) if self._farm.book and self._counts(device) else None
        if found is not None:
            lines.append(f"     NOT USED: {found.text}")
        try:
            self._farm.permit(device)
        except ReservedError as error:
            lines.append(f"     {str(error).removeprefix(f'{device.name} is ')}")
            return lines
        after = self._farm.reserved_next(device)
        if after is not None and after.start - now() < _SOON:
            lines.append(f"     reserved by {after.owner} from {show_time(after.start, now())} on")
        return lines

    def permit(self, device: Device, seconds: float = 0.0) -> None:
        """Refuse a board that somebody else has reserved, now or within so many seconds.

        Raises:
            ReservedError: it is.
            ReservationError: the calendar can't be read.
        """
        self._farm.permit(device, seconds)

    def free_s(self, device: Device) -> float:
        """Return for how long a board is nobody else's, in seconds; infinite if nobody has reserved it.

        Raises:
            ReservationError: the calendar can't be read.
        """
        return self._farm.free_s(device)

    def board_done(
        self, case: Failover, device: Device, backend: Backend, error: HilError | None, *, opened: bool
    ) -> None:
        """Write into the book of health what a case says of its board."""
        book = self._farm.book
        if book is None or not self._counts(device):
            return
        part = Part(case.record, case.run.path.name, device, backend, case.suite, case.variant, opened=opened)
        event = event_of_part(part, error, host=hostname(), when=now())
        if event is None:
            return
        try:
            book.record(event)
            self._noted = True
            if error is not None:  # it looks at all boards and takes a moment, so the others come at the end
                self._review()
        except (ConfigError, StoreError) as problem:  # the results matter more
            self.log(device.name, f"its health can't be noted: {problem}")

    def close(self) -> None:
        """Give back what labgrid still locks, and judge the boards. Safe to call twice."""
        self._farm.close()
        if self._noted:
            with suppress(StoreError):  # the next run will do it
                self._review()

    def _counts(self, device: Device) -> bool:
        """Whether a board is one that the lab judges, and not the twin of a kind that each process has."""
        return self._judges and self._farm.shared(device)

    def _review(self) -> None:
        self._noted = False
        for made in self._farm.book.review() if self._farm.book is not None else ():
            self.log(made.device, made.text)
