"""The folder of reservations: a JSON file each, changed by one process at a time, read by all."""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from harness.errors import ReservationError
from harness.farm.reservation import Reservation, from_json, to_json
from harness.files.json_file import create_json, make_folder, read_json, write_json

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

_FILE = re.compile(r"r([0-9]{1,9})\.json")
#: All users of the farm must be able to open the lock.
_LOCK_MODE = 0o666
_LOCK_WAIT_S = 30.0
#: Older reservations are put aside, so that a look at the calendar stays quick.
_KEPT = timedelta(days=31)


@dataclass(frozen=True)
class Contents:
    """What a look at the folder gave: the reservations by their start, and the files that can't be understood.

    `number` is that of the next reservation, if none was added since just before the look.
    """

    reservations: tuple[Reservation, ...]
    damaged: tuple[Path, ...]
    number: int


class ReservationFiles:
    """Reads and writes reservations.

    Args:
        folder: where they are; made when the first one is written. Hosts that share it need a network folder whose
            locks work between hosts, which NFS's do unless it is mounted with `nolock` or `local_lock`.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._past = folder / "past"

    def read(self) -> Contents:
        """Return all reservations of about the last month and the future. A damaged file is named, never guessed at.

        Raises:
            ReservationError: the folder can't be read; that isn't taken for an empty calendar.
        """
        found, damaged = [], []
        try:
            paths = _list(self._folder)
            numbers = [_number(path) for path in (*paths, *_list(self._past))]
        except OSError as error:
            raise ReservationError(f"the reservations in {self._folder} can't be read: {error}") from error
        for path in paths:
            reservation = _read_one(path)
            if reservation is not None:
                found.append(reservation)
            elif path.exists():  # not one that was put aside just now
                damaged.append(path)
        by_start = sorted(found, key=lambda one: (one.start, one.id))
        return Contents(tuple(by_start), tuple(damaged), max(numbers, default=0) + 1)

    @contextlib.contextmanager
    def locked(self) -> Iterator[Contents]:
        """Keep all others from changing the calendar, and return what is in it now.

        Raises:
            ReservationError: the lock can't be had, or a file can't be written meanwhile.
        """
        try:
            make_folder(self._folder)
            with FileLock(self._folder / ".lock", mode=_LOCK_MODE, timeout=_LOCK_WAIT_S):
                yield self.read()
        except Timeout as error:
            raise ReservationError(
                f"the reservations in {self._folder} were being changed by somebody else for {_LOCK_WAIT_S:g} s; "
                "try again, and look for a process that hangs there"
            ) from error
        except OSError as error:
            raise ReservationError(f"the reservations in {self._folder} can't be changed: {error}") from error

    def add(self, reservation: Reservation, contents: Contents) -> Reservation | None:
        """Write a new reservation, which was decided on from `contents`; call it with the lock held.

        Returns:
            The reservation with its id. None if somebody added one since the look, which the lock should have kept from
            happening: then what was decided may be wrong, and has to be decided again.
        """
        named = replace(reservation, id=f"r{contents.number}")
        return named if create_json(self._path(named), to_json(named)) else None

    def write(self, reservation: Reservation) -> None:
        """Replace a reservation's file; call it with the lock held."""
        write_json(self._path(reservation), to_json(reservation))

    def put_aside(self, contents: Contents, when: datetime) -> None:
        """Move what has been over for a month into `past/`; call it with the lock held."""
        for old in contents.reservations:
            if old.end < when - _KEPT:
                with contextlib.suppress(OSError):  # it only keeps the folder small
                    make_folder(self._past)
                    self._path(old).replace(self._past / f"{old.id}.json")

    def _path(self, reservation: Reservation) -> Path:
        return self._folder / f"{reservation.id}.json"


def _list(folder: Path) -> list[Path]:
    """Return the files of reservations in a folder, none if it is missing; unlike glob it doesn't hide other errors."""
    try:
        return sorted(path for path in folder.iterdir() if _FILE.fullmatch(path.name))
    except FileNotFoundError:
        return []


def _number(path: Path) -> int:
    """Return the number in the name of a file that `_list` found."""
    return int(path.stem[1:])


def _read_one(path: Path) -> Reservation | None:
    """Return the reservation in a file, None if it is damaged or another one's."""
    content = read_json(path)
    if content is None:
        return None
    try:
        reservation = from_json(content)
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
    return reservation if f"{reservation.id}.json" == path.name else None
