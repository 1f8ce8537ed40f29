"""A board's place in labgrid, acquired for as long as a run uses the board, against its users' other jobs.

labgrid runs in an environment of its own (its pyserial and ours own the same folder), so it is a program here, not a
library. Only the lock is labgrid's: probe, serial port and power monitor stay local to the host that owns them.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import subprocess
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from harness.config.state import hostname, lives, username
from harness.errors import BusyError, ConfigError, FarmError, LeaseLostError
from harness.locks.waiting import Wait
from harness.text.escape import one_line

if TYPE_CHECKING:
    from harness.config import Device
    from harness.config.farm import LabgridOptions
    from harness.locks.waiting import Patience

_DEFAULT_COORDINATOR = "127.0.0.1:20408"  # labgrid's own
#: A call takes about 0.4 s of CPU time; the coordinator itself may wait 10 s for an exporter that hangs.
_DEADLINE_S = 15.0
#: Between two tries for a place that somebody has, and between two looks whether it is still ours.
_RETRY_S, _LOOK_S = (2.0, 3.0), 30.0
#: A coordinator that says nothing for so long may have forgotten the lock.
_SILENCE_S = 120.0
#: They would point the client at other places and files than those that are meant here, and its Python to our packages.
_NOT_FOR_IT = frozenset(
    {"LG_PLACE", "PLACE", "LG_ENV", "LG_STATE", "STATE", "LG_INITIAL_STATE", "LG_TOKEN", "PYTHONPATH", "PYTHONHOME"}
)


class Labgrid:
    """One job of ours as a user of labgrid's coordinator: locks are per user, so each job is one of its own.

    Args:
        options: the coordinator's address and the client program.
    """

    def __init__(self, options: LabgridOptions) -> None:
        self._address = options.coordinator or os.environ.get("LG_COORDINATOR") or _DEFAULT_COORDINATOR
        home = os.environ.get("HIL_LABGRID_VENV")
        self._client = options.client or (f"{home}/bin/labgrid-client" if home else "labgrid-client")
        self._host, self._user = _plain(hostname()), f"hil-{_plain(username())}-{os.getpid()}-{secrets.token_hex(3)}"
        self.identity = f"{self._host}/{self._user}"
        self._held: set[str] = set()

    def acquire(self, device: Device, patience: Patience) -> Place:
        """Acquire the place of a device.

        Raises:
            BusyError: somebody has it; says who.
            ConfigError: there is no such place, or labgrid's client isn't installed.
            FarmError: the coordinator doesn't answer, or refuses.
        """
        name, wait = device.labgrid or device.name, Wait(patience)
        while True:
            holder = self.holder(name)  # so it is known by exactly this name: the client takes "bench" for bench-1, too
            if holder is None:
                try:
                    self._run(name, "acquire")
                    self._held.add(name)
                    return Place(self, device.name, name)
                except _RefusedError as error:
                    holder = self.holder(name)  # somebody was quicker, or it is something else, such as no exporter
                    if holder is None and "already acquired" not in str(error):
                        raise FarmError(f"{device.name}: place {name} of labgrid: {error}") from error
            lost = holder == self.identity and name not in self._held  # acquired or released while it didn't answer
            if holder is not None and (lost or self._is_dead(holder)):
                self.release(name, holder)
                continue
            words = f"{device.name}: its place {name} in labgrid is in use by {holder or 'somebody'}"
            wait.again(BusyError(words, "wait until it is free, or add --wait", holder or ""), _RETRY_S)

    def holder(self, name: str) -> str | None:
        """Return who has a place, as `host/user`, or None. Raises as `acquire`."""
        found = re.search(r"^ +acquired: (\S+)$", self._run(name, "show"), re.MULTILINE)
        return None if found is None or found[1] == "None" else one_line(found[1])

    def release(self, name: str, holder: str | None = None) -> None:
        """Free a place if `holder` (default: this job) has it: the coordinator compares. Raises as `acquire`."""
        self._held.discard(name)
        self._run(name, "release-from", holder or self.identity)

    def _is_dead(self, holder: str) -> bool:
        """Whether a place is held by a job of this user and host whose process is gone, as after `kill -9`."""
        found = re.fullmatch(rf"{re.escape(self._host)}/hil-{re.escape(_plain(username()))}-(\d+)-[0-9a-f]+", holder)
        return found is not None and not lives(int(found[1]))

    def _run(self, name: str, *arguments: str) -> str:
        program = shutil.which(self._client)
        if program is None:
            raise ConfigError(
                f"{self._client} isn't there, and `labgrid:` in devices.yaml needs it: `python -m venv .labgrid "
                "&& .labgrid/bin/pip install labgrid`, then `farm: {labgrid: {client: .labgrid/bin/labgrid-client}}`"
            )
        kept = {key: value for key, value in os.environ.items() if key not in _NOT_FOR_IT}
        try:
            done = subprocess.run(  # noqa: S603 (the program that devices.yaml names, without a shell)
                [program, "-x", self._address, f"--place={name}", *arguments],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                check=False,
                timeout=_DEADLINE_S,
                env={**kept, "LG_HOSTNAME": self._host, "LG_USERNAME": self._user},
                start_new_session=True,  # Ctrl-C is for us: a call that was begun is ended in order
            )
        except subprocess.TimeoutExpired as error:
            raise FarmError(f"labgrid's coordinator at {self._address} said nothing for {_DEADLINE_S:g} s") from error
        if done.returncode == 0 and (arguments[0] != "show" or f"Place '{name}':" in done.stdout.splitlines()):
            return done.stdout
        if "Could not connect to coordinator" in done.stderr:
            raise FarmError(
                f"labgrid's coordinator at {self._address} can't be reached. Start it with `labgrid-coordinator -l "
                f'{self._address}`, or say where it is: `farm: {{labgrid: {{coordinator: "HOST:PORT"}}}}`'
            )
        if done.returncode == 0 or "place pattern" in done.stderr or "matches multiple places" in done.stderr:
            raise ConfigError(f"labgrid has no place {name}: `labgrid-client -p {name} create`, or mend `labgrid:`")
        raise _RefusedError(one_line(" ".join(f"{done.stdout} {done.stderr}".split()[-40:])))


class _RefusedError(FarmError):
    """The coordinator said no."""


class Place:
    """A place that this job has; what keeps labgrid's users from a board (`boards.base.Hold`)."""

    def __init__(self, labgrid: Labgrid, board: str, name: str) -> None:
        self._labgrid, self._board, self._name = labgrid, board, name
        self._seen = self._asked = time.monotonic()
        self._lost: str | None = None

    def check(self) -> None:
        """Look now and then whether the place is still ours; a coordinator that restarts forgets all locks.

        Raises:
            LeaseLostError: it isn't, or nobody could say so for minutes. Once lost is lost.
        """
        if self._lost is None and time.monotonic() - self._asked > _LOOK_S:
            self._asked, holder = time.monotonic(), None
            try:
                holder = self._labgrid.holder(self._name)
                if holder != self._labgrid.identity:
                    self._lost = f"{holder or 'nobody'} has it now"
                self._seen = time.monotonic()
            except (FarmError, ConfigError) as error:
                if time.monotonic() - self._seen > _SILENCE_S:
                    self._lost = str(error)
        if self._lost is not None:
            raise LeaseLostError(f"{self._board}: its place {self._name} in labgrid is lost: {self._lost}")

    def release(self) -> None:
        """Give the place back. Safe to call twice."""
        with suppress(FarmError, ConfigError):  # the coordinator is away, and forgets the lock when it restarts
            self._labgrid.release(self._name)


def _plain(name: str) -> str:
    """Make a name that labgrid can hold: it cuts `host/user` at the slash."""
    return re.sub(r"[^A-Za-z0-9._-]", "-", name)
