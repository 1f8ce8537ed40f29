"""A board's place in labgrid, held for as long as a run uses the board, and watched."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from harness.errors import BusyError, ConfigError, FarmError, HilError, LeaseLostError
from harness.farm.labgrid import Labgrid
from harness.farm.labgrid_janitor import Heartbeat, job_user
from harness.farm.labgrid_queue import Queued
from harness.farm.labgrid_view import look, look_shared

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import TracebackType
    from typing import Self

    from harness.config import Device
    from harness.config.farm import LabgridOptions
    from harness.farm.labgrid_view import View

GRACE_S = 15.0
_INTERVAL_S = 2.0
_RETRY_S = 2.0  # between two tries for a place that somebody has
_BEAT_S = 10.0
_PAY_S = 5.0  # no further release is begun after so long; one takes 10 s at most


class PlaceHold:
    """The place of one board, until `release` or the end of the `with`. Made by `LabgridJob.hold`.

    Args:
        job: whose lock it is.
        board: name for messages.
        place: its name in labgrid.
        view: what the coordinator said after the place was acquired.
    """

    def __init__(self, job: LabgridJob, board: str, place: str, view: View) -> None:
        self.board = board
        self.place = place
        self._job = job
        self._resources = view.places[place].acquired_resources
        self._confirmed = view.asked
        self._since = view.asked
        self._problem = ""
        self._lost: str | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def check(self) -> None:
        """Look whether the board is still ours; costs next to nothing.

        Raises:
            LeaseLostError: the place was freed or taken, its exporter went away, or nothing was heard from the
                coordinator for longer than the grace time. Once lost is lost: another run may have touched the board.
        """
        silent_s = time.monotonic() - self._confirmed
        if self._lost is None and silent_s > self._job.grace_s:
            because = f" ({self._problem})" if self._problem else ""
            self._lost = f"whether it is still ours wasn't heard from labgrid for {silent_s:.0f} s{because}"
        if self._lost is not None:
            raise LeaseLostError(
                f"{self.board}: place {self.place} in labgrid is lost: {self._lost}. What was measured meanwhile isn't "
                "used; the case has to be repeated"
            )

    def release(self) -> None:
        """Give the place back. Can be called always and repeatedly; what can't be given back now is tried again."""
        self._job.give_back(self)

    def judge(self, view: View) -> None:
        """Compare with what the coordinator said."""
        if view.asked < self._since or self._lost is not None:
            return
        self._lost = self._loss(view)
        if self._lost is None:
            self._confirmed = max(self._confirmed, view.asked)

    def doubt(self, problem: str) -> None:
        """Remember why nothing was heard; `check` says when that has lasted too long."""
        self._problem = problem

    def _loss(self, view: View) -> str | None:
        place = view.places.get(self.place)
        if place is None:
            return "labgrid doesn't know it any more"
        if place.acquired is None:
            return "nobody holds it now: the coordinator was restarted, or somebody released it"
        if place.acquired != self._job.labgrid.identity:
            return f"{place.acquired} holds it now"
        gone = next((path for path in self._resources if path not in view.resources), None)
        if gone is not None:  # one that came back before this look kept the lock: nobody else can have had the place
            return f"exporter {gone.partition('/')[0]} went away with {gone}"
        return None


class LabgridJob:
    """One job's dealings with labgrid: a user name of its own, its holds, a heartbeat, and one watch over all of them.

    Use one for each process, as a context manager or with `close`.

    Args:
        options: the coordinator's address and the client program.
        state: the state folder, for the heartbeat.
        grace_s: a silence of the coordinator that is borne, if the lock is still ours afterwards.
        interval_s: between two looks of the watch.
    """

    def __init__(
        self, options: LabgridOptions, state: Path, grace_s: float = GRACE_S, interval_s: float = _INTERVAL_S
    ) -> None:
        user = job_user()
        self.labgrid = Labgrid(options, user)
        self.grace_s = grace_s
        self._interval_s = interval_s
        self._heartbeat = Heartbeat(state, user)
        self._beaten = 0.0
        self._holds: dict[str, PlaceHold] = {}
        self._owed: set[str] = set()  # perhaps locked by us, and used no more
        self._changing = threading.RLock()  # one call at a time that locks or frees
        self._end = threading.Event()
        self._watch: threading.Thread | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def hold(
        self, device: Device, wait_s: float = 0.0, on_wait: Callable[[BusyError], None] | None = None
    ) -> PlaceHold:
        """Acquire the place of a device.

        Args:
            device: of devices.yaml; `place` is its place in labgrid, else its name.
            wait_s: the longest to wait for whoever has it.
            on_wait: called once, with what is waited for, if waiting is needed; the job then stands in labgrid's queue.

        Raises:
            BusyError: somebody else has it (or ReservedError: it is reserved), after `wait_s`.
            ConfigError: labgrid has no such place, or its client isn't installed.
            FarmError: the coordinator or the exporter doesn't answer or refuses.
        """
        place = device.place or device.name
        end = time.monotonic() + wait_s
        try:
            return self._acquire(device.name, place)
        except BusyError as error:
            if wait_s <= 0:
                raise
            if on_wait is not None:
                on_wait(error)
            busy = error
        with Queued(self.labgrid, {"name": place}) as queued:  # others wait, too: labgrid says who is next
            while True:
                try:
                    queued.wait(max(0.0, end - time.monotonic()))
                    return self._acquire(device.name, place)
                except BusyError as error:
                    if time.monotonic() >= end:
                        raise type(busy)(busy.words, f"waited {wait_s:g} s") from error
                time.sleep(_RETRY_S)

    def give_back(self, hold: PlaceHold) -> None:
        """Release a hold's place, now or, if the coordinator doesn't answer, later."""
        with self._changing:
            if self._holds.get(hold.place) is not hold:
                return
            del self._holds[hold.place]
            self._owed.add(hold.place)
            self._pay()

    def close(self) -> None:
        """Release everything and end the watch. What can't be released is left to the janitor."""
        self._end.set()
        if self._watch is not None:
            self._watch.join()
        with self._changing:
            self._owed.update(self._holds)
            self._holds.clear()
            self._pay()
            if not self._owed:
                self._heartbeat.end()

    def _acquire(self, board: str, place: str) -> PlaceHold:
        with self._changing:
            if place in self._holds:
                raise BusyError(f"{board}: its place {place} in labgrid is in use by this program")
            if place in self._owed:  # it must not be freed by and by, once it is locked again
                self.labgrid.release(place)
            self._beat(place)  # before the lock: a job that dies right after it must be known
            self._start_watch()
            self._owed.add(place)  # whatever happens in the next lines
            try:
                self.labgrid.acquire(place)
            except BusyError as error:
                self._owed.discard(place)
                raise type(error)(f"{board}: {error}", "wait until it is free, or add --wait") from error
            except ConfigError:
                self._owed.discard(place)
                raise
            view = look(self.labgrid)
            if place not in view.places or view.places[place].acquired != self.labgrid.identity:
                raise FarmError(f"{board}: its place {place} in labgrid was freed as soon as it was acquired")
            hold = PlaceHold(self, board, place, view)
            self._owed.discard(place)
            self._holds[place] = hold
            return hold

    def _start_watch(self) -> None:
        if self._watch is None:
            self._watch = threading.Thread(target=self._run, name="labgrid-watch", daemon=True)
            self._watch.start()

    def _run(self) -> None:
        while not self._end.wait(self._interval_s):
            holds = list(self._holds.values())
            try:
                if holds:
                    view = look_shared(self.labgrid, time.monotonic() - self._interval_s)
                    for hold in holds:
                        hold.judge(view)
            except HilError as error:
                for hold in holds:
                    hold.doubt(str(error))
            if self._owed and self._changing.acquire(blocking=False):  # never wait here: the holds need their watch
                try:
                    self._pay()
                finally:
                    self._changing.release()
            if time.monotonic() - self._beaten > _BEAT_S:
                with suppress(HilError):  # a folder that is full for a moment; the janitor allows for a few beats
                    self._beat()

    def _pay(self) -> None:
        """Release what is owed, as far as the coordinator answers."""
        end = time.monotonic() + _PAY_S
        for place in sorted(self._owed):
            if time.monotonic() > end:
                return
            with suppress(HilError):
                self.labgrid.release(place)
                self._owed.discard(place)

    def _beat(self, *more: str) -> None:
        self._heartbeat.beat([*list(self._holds), *list(self._owed), *more])
        self._beaten = time.monotonic()
