"""What a user may have of the boards: the limits of the farm, and whose reservation it is. Plain functions."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from harness.errors import ReservationError
from harness.text.times import show_length, show_time

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.config.farm import ReservationLimits
    from harness.farm.reservation import Reservation

_WHERE = "`farm: {reservations: ...}` in devices.yaml"


def check_length(length: timedelta, limits: ReservationLimits, what: str) -> None:
    """See that a reservation isn't longer than allowed.

    Raises:
        ReservationError: it is; `what` begins the message.
    """
    longest = timedelta(hours=limits.max_hours)
    if length > longest:
        raise ReservationError(
            f"{what} {show_length(length)} long; max_hours of {_WHERE} allows {show_length(longest)}"
        )


def check_start(start: datetime, limits: ReservationLimits, now: datetime) -> None:
    """See that a reservation begins neither in the past nor further off than allowed.

    Raises:
        ReservationError: it does; says what is possible.
    """
    if start < now:
        raise ReservationError(f"{show_time(start, now)} is over; it is {show_time(now, now)}")
    last = now + timedelta(days=limits.max_days_ahead)
    if start > last:
        raise ReservationError(
            f"{show_time(start, now)} is too far off; max_days_ahead of {_WHERE} is {limits.max_days_ahead:g}, "
            f"so it may begin until {show_time(last, now)}"
        )


def check_share(owner: str, current: Sequence[Reservation], limits: ReservationLimits, now: datetime) -> None:
    """See that a user can have one more reservation than those that aren't over.

    Raises:
        ReservationError: they can't; names what they have.
    """
    theirs = [one for one in current if one.owner == owner]
    if len(theirs) >= limits.max_per_user:
        held = ", ".join(f"{one.id} (until {show_time(one.end, now)})" for one in theirs)
        raise ReservationError(
            f"{owner} has {held}; max_per_user of {_WHERE} is {limits.max_per_user}. "
            "Wait until one is over, or give one back: hil reserve --cancel ID"
        )


def check_boards(devices: Sequence[str], selector: str, count: int) -> None:
    """See that there are as many boards as are wanted.

    Raises:
        ReservationError: there are fewer, or none is wanted.
    """
    if not 1 <= count <= len(devices):
        names = ", ".join(sorted(devices)) or "none"
        raise ReservationError(f"{count} boards of {selector} are wanted, and there are {len(devices)}: {names}")


def no_gap(selector: str, count: int, wanted: datetime, now: datetime, later: datetime | None) -> ReservationError:
    """Return the error that says that no board can be had at the wanted time, and when one can."""
    boards = f"no {selector} is" if count == 1 else f"no {count} boards of {selector} are"
    if later is None:
        return ReservationError(
            f"{boards} free for so long at {show_time(wanted, now)}, nor at a time after it that could be booked; "
            "`hil reserve --list` shows the gaps: ask for less time or fewer boards"
        )
    return ReservationError(
        f"{boards} free for so long at {show_time(wanted, now)}; the next time is {show_time(later, now)}. "
        "Without --no-queue that is booked"
    )


def check_rights(reservation: Reservation, user: str, *, force: bool) -> bool:
    """See that a user may change a reservation.

    Returns:
        Whether that took `force`.

    Raises:
        ReservationError: it is somebody else's, and `force` isn't given.
    """
    if reservation.owner == user:
        return False
    if not force:
        raise ReservationError(
            f"{reservation.id} is {reservation.owner}'s, and you are {user}; ask them, or use --force (it is recorded)"
        )
    return True
