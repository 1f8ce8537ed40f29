"""A reservation in labgrid's queue, kept alive for as long as it is wanted: labgrid forgets what isn't polled."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from harness.errors import BusyError, FarmError, HilError, LeaseLostError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType
    from typing import Self

    from harness.farm.labgrid import Labgrid
    from harness.farm.labgrid_text import Booking

EXPIRY_S = 60.0  # labgrid's
_PAUSE_S = 15.0  # between two polls once there is a place
_POLL_S = 20.0  # one call of the client while there is none; it asks every second, and ends as soon as there is one


class Queued:
    """Waits for any place with certain tags, and keeps it reserved until the end of the `with`.

    Only the job that queued can acquire the place.

    Args:
        labgrid: whose identity the reservation gets.
        tags: that the place must have, all of them; `name` is its name.
        priority: the highest is served first, then the oldest.
    """

    def __init__(self, labgrid: Labgrid, tags: Mapping[str, str], priority: float = 0.0) -> None:
        self._labgrid = labgrid
        self._tags = dict(tags)
        self._priority = priority
        self._booking: Booking | None = None
        self._error: LeaseLostError | None = None
        self._changed = threading.Condition()
        self._end = threading.Event()
        self._keeper: threading.Thread | None = None

    def __enter__(self) -> Self:
        """Queue.

        Raises:
            FarmError: the coordinator can't be reached, or refuses the tags.
        """
        self._booking = self._labgrid.reserve(self._tags, self._priority)
        self._keeper = threading.Thread(
            target=self._keep, args=(self._booking.token,), name="labgrid-queue", daemon=True
        )
        self._keeper.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        if self._booking is not None:
            with suppress(HilError):  # unpolled, it runs out by itself
                self._labgrid.cancel(self._booking.token)
        if self._keeper is not None:
            self._keeper.join()

    def wait(self, wait_s: float) -> str:
        """Return the name of the place, as soon as there is one.

        Raises:
            BusyError: none was free within `wait_s`.
            LeaseLostError: the reservation is gone.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._error is not None or self._place() is not None, timeout=wait_s)
            place = self._place()
        if self._error is not None:
            raise self._error
        if place is None:
            tags = " ".join(f"{key}={value}" for key, value in self._tags.items())
            raise BusyError(f"no place with the tags {tags} was free in labgrid within {wait_s:g} s")
        return place

    def _place(self) -> str | None:
        return self._booking.place if self._booking is not None else None

    def _keep(self, token: str) -> None:
        heard = time.monotonic()
        while not self._end.is_set():
            asked = time.monotonic()
            try:
                self._hear(token)
                heard = asked
            except LeaseLostError as error:
                self._lose(error)
                return
            except FarmError as error:
                if time.monotonic() - heard > EXPIRY_S:
                    self._lose(LeaseLostError(f"a reservation in labgrid wasn't polled for {EXPIRY_S:g} s: {error}"))
                    return
                self._end.wait(1.0)
                continue
            if self._place() is not None:
                self._end.wait(_PAUSE_S)

    def _hear(self, token: str) -> None:
        booking = self._labgrid.poll(token, _POLL_S)
        if booking.state in {"expired", "invalid"}:
            raise LeaseLostError(f"reservation {booking.token} in labgrid is {booking.state}")
        with self._changed:
            self._booking = booking
            self._changed.notify_all()

    def _lose(self, error: LeaseLostError) -> None:
        with self._changed:
            self._error = error
            self._changed.notify_all()
