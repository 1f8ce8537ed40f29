"""The hardware library: who has reserved which board, from when until when."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Self

from harness.config.farm import ReservationLimits
from harness.errors import ReservationError, ReservedError
from harness.farm.booking import Request, earliest
from harness.farm.reservation import Change, Reservation, clean_owner, clean_purpose
from harness.farm.reservation_files import Contents, ReservationFiles
from harness.farm.sharing import check_boards, check_length, check_rights, check_share, check_start, no_gap
from harness.locks.state import state_folder
from harness.text.times import minute, show_length, show_time

if TYPE_CHECKING:
    from pathlib import Path

    from harness.config import Lab
    from harness.farm.booking import Span

#: How long after the wanted time a queued reservation may begin.
_QUEUE = timedelta(days=7)
#: How often a booking is decided again if the lock doesn't work between hosts.
_TRIES = 20


class Calendar:
    """The reservations of a farm. Every question takes the time that it is about, so that a clock can be injected.

    Bookings are promises, first come first served within the limits: none is moved for another.

    Args:
        state: the state folder.
        limits: what one user may have.
    """

    def __init__(self, state: Path, limits: ReservationLimits | None = None) -> None:
        self._files = ReservationFiles(state / "reservations")
        self._limits = limits or ReservationLimits()
        self._no_show = timedelta(minutes=self._limits.no_show_min)

    @classmethod
    def of(cls, lab: Lab) -> Self:
        """Return the calendar of a lab.

        Raises:
            ConfigError: its state folder can't be used.
        """
        return cls(state_folder(lab), lab.farm.reservations)

    def all(self) -> tuple[Reservation, ...]:
        """Return all reservations of about the last month and the future by their start, over or not."""
        return self._files.read().reservations

    def current(self, when: datetime) -> tuple[Reservation, ...]:
        """Return the reservations that aren't over at `when`, by their start."""
        return self._current(self._files.read(), when)

    def damaged(self) -> tuple[Path, ...]:
        """Return the files that can't be understood. What they promised is unknown, so they keep no board."""
        return self._files.read().damaged

    def ends(self, reservation: Reservation, device: str, when: datetime) -> datetime:
        """Return when a reservation stops keeping a board, as far as is known at `when`."""
        return reservation.until(device, when, self._no_show)

    def use_before(self, reservation: Reservation) -> datetime | None:
        """Return when the boards must have been used, so that they aren't released; None if they never are."""
        deadline = reservation.start + self._no_show
        return deadline if self._no_show and deadline < reservation.end else None

    def reserve(self, request: Request, when: datetime) -> Reservation:
        """Book boards, at the wanted time or, if `request.queue` allows it, the first time after it that fits.

        Raises:
            ReservationError: a limit of the farm is exceeded, or the boards aren't free; says what would be possible.
        """
        request = replace(request, owner=clean_owner(request.owner), purpose=clean_purpose(request.purpose))
        now = minute(when)
        wanted = now if request.start is None else minute(request.start)
        if not request.owner:
            raise ReservationError("a reservation needs the name of its owner; set HIL_USER")
        check_boards(request.devices, request.selector, request.count)
        check_length(request.length, self._limits, "it would be")
        check_start(wanted, self._limits, now)
        latest = min(wanted + _QUEUE, now + timedelta(days=self._limits.max_days_ahead))
        for _ in range(_TRIES):
            with self._files.locked() as contents:
                check_share(request.owner, self._current(contents, when), self._limits, when)
                taken = {device: self._taken(contents, device, when) for device in request.devices}
                found = earliest(taken, wanted, max(wanted, latest), request.length, request.count)
                if found is None or (found[0] > wanted and not request.queue):
                    later = None if found is None else found[0]
                    raise no_gap(request.selector, request.count, wanted, when, later)
                start, devices = found
                by = clean_owner(request.by or request.owner)
                note = (Change(when, by, f"booked for {request.owner}"),) if by != request.owner else ()
                made = self._files.add(
                    Reservation(
                        id="",
                        owner=request.owner,
                        selector=clean_purpose(request.selector),
                        devices=devices,
                        start=start,
                        end=start + request.length,
                        purpose=request.purpose,
                        created=when,
                        changes=note,
                    ),
                    contents,
                )
                if made is not None:
                    self._files.put_aside(contents, when)
                    return made
        raise ReservationError(
            "other hosts book at the same time in spite of the lock: the state folder needs NFS locks"
        )

    def cancel(self, reservation_id: str, user: str, when: datetime, *, force: bool = False) -> Reservation:
        """End a reservation now, or before it begins; returns it as it is then.

        Raises:
            ReservationError: there is no such one, it is over, or it is somebody else's and `force` isn't given.
        """
        with self._files.locked() as contents:
            old = self._running(contents, reservation_id, when)
            forced = check_rights(old, clean_owner(user), force=force)
            change = Change(when, clean_owner(user), "cancelled", forced)
            new = old.changed(change, ended=minute(when))
            self._files.write(new)
        return new

    def extend(
        self, reservation_id: str, user: str, length: timedelta, when: datetime, *, force: bool = False
    ) -> Reservation:
        """Let a reservation end later; returns it as it is then. Boards of it that were released stay so.

        Raises:
            ReservationError: there is no such one, it is over, it is somebody else's and `force` isn't given, it would
                be longer than allowed, or one of its boards is booked by then.
        """
        with self._files.locked() as contents:
            old = self._running(contents, reservation_id, when)
            forced = check_rights(old, clean_owner(user), force=force)
            released = [name for name in old.devices if self.ends(old, name, when) < old.end]
            if released:
                raise ReservationError(
                    f"{', '.join(released)} of {old.id} was released, because nobody used it until "
                    f"{show_time(self.ends(old, released[0], when), when)}; reserve it again"
                )
            check_length(old.end + length - old.start, self._limits, f"{old.id} would be")
            for device in old.devices:
                for start, end in self._taken(contents, device, when):
                    if start < old.end + length and old.end < end:
                        possible = start - old.end
                        advice = f"--for {show_length(possible)} is possible" if possible else "so it can't be longer"
                        raise ReservationError(
                            f"{old.id} can't be extended: {device} is booked from {show_time(start, when)}; {advice}"
                        )
            change = Change(when, clean_owner(user), f"extended by {show_length(length)}", forced)
            new = old.changed(change, end=old.end + length)
            self._files.write(new)
        return new

    def active(self, device: str, when: datetime) -> Reservation | None:
        """Return the reservation that keeps a board at `when`, None if nobody's does."""
        return next((one for one in self.all() if one.start <= when < self.ends(one, device, when)), None)

    def check(self, device: str, user: str, when: datetime) -> None:
        """See that nobody else has reserved a board for now.

        Raises:
            ReservedError: somebody has; says who, until when, what for, and when it is free.
        """
        now = self.active(device, when)
        if now is None or now.owner == clean_owner(user):
            return
        end = free = self.ends(now, device, when)
        following = [one for one in self.all() if one.start >= end and one.owner != clean_owner(user)]
        for one in following:
            if one.start <= free:
                free = max(free, self.ends(one, device, when))
        purpose = f" ({now.purpose})" if now.purpose else ""
        after = "free after that" if free == end else f"then by others, free from {show_time(free, when)}"
        words = f"{device} is reserved by {now.owner} until {show_time(end, when)}{purpose}"
        raise ReservedError(words, f"{after}, or `hil reserve` another", holder=now.id)

    def until(self, device: str, user: str, when: datetime) -> Reservation | None:
        """Return the next reservation of a board by somebody else that begins after `when`, None if there is none."""
        return next(
            (
                one
                for one in self.all()
                if one.start > when and one.owner != clean_owner(user) and self.ends(one, device, when) > one.start
            ),
            None,
        )

    def touch(self, device: str, user: str, when: datetime) -> None:
        """Note that a user uses a board, or asked for it in vain, so that their reservation isn't taken for forgotten.

        Call it when a lease is asked for and with each heartbeat: a run can have begun before the reservation did.
        Only the first call in a reservation writes.

        Raises:
            ReservationError: it can't be written.
        """
        owner = clean_owner(user)

        def unused(one: Reservation | None) -> bool:
            return one is not None and one.owner == owner and device not in one.used

        if not unused(self.active(device, when)):
            return
        with self._files.locked() as contents:
            for one in contents.reservations:
                if unused(one) and one.start <= when < self.ends(one, device, when):
                    used = replace(one, used={**one.used, device: when})
                    # Its time was over for somebody with a clock that is ahead, and the board is theirs now.
                    if not any(
                        other.id != one.id and other.start < used.end and one.start < self.ends(other, device, when)
                        for other in contents.reservations
                        if device in other.devices
                    ):
                        self._files.write(used)

    def _current(self, contents: Contents, when: datetime) -> tuple[Reservation, ...]:
        return tuple(one for one in contents.reservations if not one.over(when, self._no_show))

    def _taken(self, contents: Contents, device: str, when: datetime) -> list[Span]:
        spans = [(one.start, self.ends(one, device, when)) for one in contents.reservations if device in one.devices]
        return [(start, end) for start, end in spans if start < end]

    def _running(self, contents: Contents, reservation_id: str, when: datetime) -> Reservation:
        current = self._current(contents, when)
        for one in contents.reservations:
            if one.id == reservation_id:
                if one in current:
                    return one
                raise ReservationError(f"{one.id} is over")
        known = ", ".join(one.id for one in current) or "there are none"
        raise ReservationError(f"no reservation is called {clean_owner(reservation_id)}; known: {known}")
