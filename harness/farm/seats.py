"""What the driver of a night knows of the workers, and what it says of them."""

from __future__ import annotations

import time
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from harness.config.state import now, stamp
from harness.farm.cluster import CONNECT_S, difference
from harness.farm.dispatch import LEAST_S
from harness.files.json_file import write_json
from harness.text.escape import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from harness.config import Device, Lab
    from harness.config.nightly import Nightly
    from harness.farm.night import Night, PlannedCase

#: How long the scheduler may be away before the night is left to the next `hil nightly`.
SCHEDULER_S: Final = 300.0
#: How long the night waits for a board that isn't there.
MISSING_S: Final = 600.0


@dataclass(frozen=True)
class Wish:
    """What `hil nightly` was asked for.

    Attributes:
        lab: the boards.
        nightly: what is to be run.
        base: the folder of nightly.yaml.
        results_dir: where the run is made.
        resume: whether only a night that hasn't ended is gone on with.
        say: takes a line for people.
        scheduler: address of the lab's; None for one of the night's own.
        scheduler_s: how long to wait for a scheduler that is gone.
        missing_s: how long to wait for a board that isn't there.
        least_s: a case may take so long at least before it is taken to hang.
    """

    lab: Lab
    nightly: Nightly
    base: Path
    results_dir: Path
    resume: bool
    say: Callable[[str], None]
    scheduler: str | None = None
    scheduler_s: float = SCHEDULER_S
    missing_s: float = MISSING_S
    least_s: float = LEAST_S


@dataclass
class Job:
    """A case or a check (`case` is None) that a worker has."""

    case: PlannedCase | None
    future: Any
    began: float
    limit_s: float
    gone_at: float | None = None


@dataclass
class Seat:
    """A worker: a board, or one of several twins of a kind that nobody configured.

    Attributes:
        name: of the worker.
        device: name of the board.
        host: that it is attached to.
        shared: whether it is a board that devices.yaml has, and that is checked and judged.
        address: of the worker; None while there is none.
        ready: whether it takes a task, so far as Dask knows.
        job: what it is at.
        check_due: whether it is checked before it measures again.
        not_before: when it may be asked again, by the monotonic clock.
        state, reason: for people.
    """

    name: str
    device: str
    host: str
    shared: bool = True
    address: str | None = None
    ready: bool = False
    job: Job | None = None
    check_due: bool = False
    not_before: float = 0.0
    state: str = "waiting"
    reason: str = ""


class Seats:
    """The workers that offer boards of a night, and what is said of them to people and to the site.

    Args:
        night: the night.
        devices: its boards.
        check: whether they are checked before they measure.
        say: takes a line for people.

    Attributes:
        seen: when each board was last offered, by the monotonic clock; at first, when the night began.
    """

    def __init__(self, night: Night, devices: Sequence[Device], say: Callable[[str], None], *, check: bool) -> None:
        self._night, self._say, self._checked = night, say, check
        self._devices = {device.name: device for device in devices}
        self._seats: dict[str, Seat] = {}
        self._since, self._words, self._refused = stamp(now()), "", set[str]()
        self.seen = dict.fromkeys((name for case in night.cases for name in case.devices), time.monotonic())

    def __iter__(self) -> Iterator[Seat]:
        return iter(self._seats.values())

    def look(self, workers: Mapping[str, Mapping[str, Any]]) -> None:
        """Note what the scheduler says of its workers, by address."""
        there = set()
        for address, about in workers.items():
            offer = about.get("hil")
            if isinstance(offer, dict) and self._fits(offer):
                there.add(str(about["name"]))
                self._see(address, about, offer)
        for seat in self:
            if seat.name not in there:
                seat.address, seat.ready = None, False

    def _see(self, address: str, about: Mapping[str, Any], offer: Mapping[str, Any]) -> None:
        name, device = str(about["name"]), self._devices[offer["device"]]
        if name not in self._seats:
            shared = device.hardware or device.backend is not None
            self._seats[name] = Seat(name, device.name, offer["host"], shared, check_due=self._checked and shared)
        seat = self._seats[name]
        holder = (about.get("metrics", {}).get("hil") or {}).get("holder")
        seat.address, seat.ready = address, about.get("status") == "running" and not holder
        self.seen[seat.device] = time.monotonic()
        if seat.job is None and seat.state in ("waiting", "paused"):
            seat.state, seat.reason = ("paused", f"in use by {holder}") if holder else ("waiting", "")

    def _fits(self, offer: Mapping[str, Any]) -> bool:
        """Whether a worker's board is one of the night's, and its versions are ours; if not that is said once."""
        if offer.get("device") not in self.seen or offer["device"] not in self._devices:
            return False
        wrong = difference(offer.get("versions", {}), f"{offer['device']} on {offer.get('host')}")
        if wrong is not None and wrong not in self._refused:
            self._refused.add(wrong)
            self._say(printable(f"not used: {wrong}"))
        return wrong is None

    def never(self) -> list[str]:
        """Return the boards that no worker has offered yet."""
        offered = {seat.device for seat in self}
        return [name for name in self.seen if name not in offered]

    def log(self, seat: Seat, text: str) -> None:
        """Write down what went wrong on a board."""
        path = self._night.folder / "logs" / f"{seat.name}.log"
        with suppress(OSError):  # it is for people, and what counts is in the run
            path.parent.mkdir(exist_ok=True)
            with path.open("a", encoding="utf-8") as file:
                file.write(f"{stamp(now())} {' '.join(text.split())}\n")

    def write(self, state: str) -> None:
        """Write what the boards of each host do, for the site."""
        hosts: defaultdict[str, dict[str, Any]] = defaultdict(dict)
        for seat in self:
            case = None if seat.job is None or seat.job.case is None else seat.job.case.name
            hosts[seat.host][seat.name] = {"state": seat.state, "case": case, "reason": seat.reason}
        for host, boards in hosts.items():
            about = {"host": host, "since": self._since, "state": state, "boards": boards}
            with suppress(OSError):
                write_json(self._night.folder / "hosts" / f"{host}.json", about)

    def tell(self, done: int) -> None:
        """Say how far the night is, unless that was said."""
        busy = sum(seat.job is not None for seat in self)
        away = [seat for seat in self if seat.state in ("unavailable", "paused")]
        lines = [f"{done} of {len(self._night.cases)} cases done, {busy} boards measure"]
        lines += [f"  waiting for {seat.device}: {seat.reason.removeprefix(f'{seat.device}: ')}" for seat in away]
        lines += [f"  waiting for {name}: no worker offers it" for name in self.never()]
        words = "\n".join(lines)
        if words != self._words:  # it may wait for hours
            self._words = words
            self._say(printable(words))


def result_of(future: Any) -> Mapping[str, Any] | None:
    """Return what a worker sent, or that it was lost; None if the scheduler is gone before it could be fetched."""
    from distributed import KilledWorker  # noqa: PLC0415 (slow, and not always installed)

    try:
        if future.status == "finished":
            told = future.result(timeout=CONNECT_S)
            if isinstance(told, dict) and "outcome" in told:
                return told
        if future.status == "error" and not isinstance(future.exception(timeout=CONNECT_S), KilledWorker):
            error = future.exception(timeout=CONNECT_S)
            return {"outcome": "lost", "reason": f"its worker failed: {type(error).__name__}: {error}"}
    except OSError:  # Dask's lost connections and time-outs are such
        return None
    return {"outcome": "lost", "reason": "its worker died"}
