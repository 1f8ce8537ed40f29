"""Who measures which case of a night: claims that several processes on several hosts make in one folder.

A claim is a file that only one process can make, `<case>.<number>.json`, and its time of modification is a heartbeat. A
claim whose heartbeat has stopped, or whose process is gone, is followed by the next number. Claims save work; that a
case counts once is seen to by `harness.store.commits`.
"""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, Self

from harness.farm.night import usable
from harness.files.json_file import create_json, make_folder, read_json, write_json
from harness.health.trial import may_be_the_image
from harness.locks.state import hostname, lives, now, stamp
from harness.store.commits import committed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from harness.farm.night import PlannedCase

#: A heartbeat that is older has stopped. Network folders may show a file's time some seconds late.
TTL_S = 60.0
#: So many boards may fail with a case before the image is to blame.
BOARDS = 3
#: A board that has failed leaves what failed elsewhere to other boards for so long. Bad boards fail fast and are free
#: while good ones measure: without this a few of them could try a case one after the other until it counts as hopeless.
HEAD_START_S = 30.0
#: So many workers may die of a case; some die of something else, such as a power cut.
DEATHS = 5


@dataclass(frozen=True)
class Claim:
    """A process's claim on a case.

    Attributes:
        case: number of the case.
        number: which claim on it this is, from 0.
        path: its file.
        about: what is in it.
    """

    case: int
    number: int
    path: Path
    about: dict[str, Any] = field(compare=False)

    @property
    def device(self) -> str:
        """The board that measures it."""
        return str(self.about.get("device"))

    @property
    def writer(self) -> str:
        """Whose it is: the name of the process in the night's run."""
        return str(self.about.get("writer"))


@dataclass(frozen=True)
class CaseState:
    """What has become of a case so far.

    Attributes:
        state: `free` to be claimed, `claimed`, or `done`.
        claim: the newest one, None if there was none.
        failed: why each board that failed couldn't measure it.
        dead: the claims whose worker died, or stood still for so long that another may have the case.
        doubting: boards whose failure speaks against its image: it ran on them, and they aren't known to be bad.
        rested: whether no board has failed with it just now.
    """

    state: Literal["free", "claimed", "done"]
    claim: Claim | None = None
    failed: dict[str, str] = field(default_factory=dict)
    dead: tuple[Claim, ...] = ()
    doubting: frozenset[str] = frozenset()
    rested: bool = True

    @property
    def hopeless(self) -> bool:
        """Whether so much went wrong with it that it isn't tried again."""
        return len(self.doubting) >= BOARDS or len(self.dead) >= DEATHS

    def is_left_for(self, device: str) -> bool:
        """Whether a board may still get to measure it."""
        return self.state != "done" and device not in self.failed and not self.hopeless


class Queue:
    """The cases of a night, as one process sees them.

    Args:
        night: the night's folder.
        run: the folder of the run that is written.
        writer: this process's name in the run.
        ttl_s: how old the heartbeat of a live process may be.

    Raises:
        FarmError: the night's folder can't be read or written, here and in each method.
    """

    def __init__(self, night: Path, run: Path, writer: str, *, ttl_s: float = TTL_S) -> None:
        with usable(night):
            self._claims = make_folder(night / "claims")
            self._clock = make_folder(night / "clocks") / hostname()
            self._clock.touch()
        self._night = night
        self._run = run
        self._writer = writer
        self._ttl_s = ttl_s

    def states(self, cases: Iterable[PlannedCase]) -> dict[int, CaseState]:
        """Return the state of each case, by its number.

        A board that failed with a case which another one has measured is bad, or was: what else it fails with says
        nothing about other images.
        """
        with usable(self._night):
            done = committed(self._run)
            claims = self._read()
            found = {case.number: self._state(case.number, done, claims.get(case.number, {})) for case in cases}
            if any(state.state != "done" and state.dead for state in found.values()):
                done = committed(self._run)  # whoever is gone now may have finished its case since it was looked
                found = {number: self._state(number, done, claims.get(number, {})) for number in found}
        bad = {device for state in found.values() if state.state == "done" for device in state.failed}
        return {number: replace(state, doubting=state.doubting - bad) for number, state in found.items()}

    def claim(self, cases: Iterable[PlannedCase], states: Mapping[int, CaseState], device: str) -> Claim | None:
        """Claim the first case that a board can take; None if there is none at the moment.

        Args:
            cases: in the order in which they should be begun.
            states: of these cases, a moment ago; of several processes that saw the same, one gets a case.
            device: the board. If it has failed with a case, it begins with those that no other board failed with.
        """
        suspect = any(device in state.failed for state in states.values())
        for case in sorted(cases, key=lambda case: suspect and bool(states[case.number].failed)):
            state = states[case.number]
            if suspect and not state.rested:
                continue
            if state.state != "free" or not state.is_left_for(device) or device not in case.devices:
                continue
            number = 0 if state.claim is None else state.claim.number + 1
            about = {"writer": self._writer, "host": hostname(), "pid": os.getpid(), "device": device}
            about["since"] = stamp(now())
            path = self._claims / f"{case.number}.{number}.json"
            with usable(self._night):
                try:
                    if create_json(path, about):
                        return Claim(case.number, number, path, about)
                except KeyboardInterrupt:
                    if read_json(path) == about:  # it came between making the file and knowing it
                        path.unlink()
                    raise
        return None

    def failed(self, claim: Claim, reason: str, error: str) -> None:
        """Give a claim back because its board failed; another board may take the case."""
        with usable(self._night):
            write_json(_failure(claim.path), {"device": claim.device, "reason": reason, "error": error})

    def release(self, claim: Claim) -> None:
        """Give a claim back as if it had never been made: nothing is known against its board or its case."""
        with usable(self._night):
            claim.path.unlink(missing_ok=True)

    def alive(self, claim: Claim) -> bool:
        """Whether the process of a claim is still at it."""
        about = claim.about
        if about.get("host") == hostname() and not lives(int(about.get("pid", 0))):
            return False
        with usable(self._night):
            try:
                beaten = claim.path.stat().st_mtime
            except FileNotFoundError:  # it was given back just now
                return False
            return self._now() - beaten < self._ttl_s

    def _now(self) -> float:
        """Return the time by the clock of the folder's file system, which other hosts' heartbeats are in, too."""
        self._clock.touch()
        return self._clock.stat().st_mtime

    def _read(self) -> dict[int, dict[int, Claim]]:
        found: dict[int, dict[int, Claim]] = {}
        for path in self._claims.iterdir():  # glob would take a folder that is gone for an empty one
            parts = path.name.split(".")
            if len(parts) == 3 and parts[0].isdecimal() and parts[1].isdecimal() and parts[2] == "json":
                claim = Claim(int(parts[0]), int(parts[1]), path, read_json(path) or {})
                found.setdefault(claim.case, {})[claim.number] = claim
        return found

    def _state(self, number: int, done: dict[int, str], claims: dict[int, Claim]) -> CaseState:
        if not claims:
            return CaseState("done" if number in done else "free")
        newest = claims[max(claims)]
        failed, doubting, dead, live, rested = {}, set(), [], False, True
        for claim in claims.values():
            kept = claim is newest and (number in done or self.alive(claim))
            failure = read_json(_failure(claim.path))  # afterwards: a process may say so and end meanwhile
            if failure is not None:
                device = str(failure.get("device"))
                failed[device] = str(failure.get("reason"))
                if may_be_the_image(str(failure.get("error"))):
                    doubting.add(device)
                if number not in done:
                    rested = rested and self._now() - _failure(claim.path).stat().st_mtime > HEAD_START_S
            elif kept:
                live = True
            elif done.get(number) != claim.writer and claim.path.exists():  # else it was given back since it was read
                dead.append(claim)
        state: Literal["free", "claimed", "done"] = "done" if number in done else "claimed" if live else "free"
        return CaseState(state, newest, failed, tuple(dead), frozenset(doubting), rested)


class Heartbeat:
    """Keeps a claim alive while its case is measured; a context manager.

    Args:
        claim: whose file is touched.
        every_s: how often.
    """

    def __init__(self, claim: Claim, every_s: float = TTL_S / 6) -> None:
        self._claim = claim
        self._every_s = every_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, name=f"heartbeat {claim.path.name}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _beat(self) -> None:
        while not self._stop.wait(self._every_s):
            with suppress(OSError):  # a network folder may be away for a moment
                os.utime(self._claim.path)


def _failure(claim: Path) -> Path:
    return claim.with_name(f"{claim.name.removesuffix('.json')}.failed.json")
