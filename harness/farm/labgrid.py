"""labgrid shares boards between hosts: its places are locked and reserved through `labgrid-client`.

labgrid runs in an environment of its own (its pyserial and ours own the same folder), so it is a program here, not a
library. Only the lock is labgrid's: probe, serial port and power monitor stay local to the host that owns them.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from typing import TYPE_CHECKING

from harness.errors import BusyError, ConfigError, FarmError, LeaseLostError, ReservedError
from harness.farm.labgrid_text import parse_bookings, parse_places, parse_resources
from harness.locks.state import hostname

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.config.farm import LabgridOptions
    from harness.farm.labgrid_text import Booking, Place, Resource

DEFAULT_COORDINATOR = "127.0.0.1:20408"  # labgrid's own
#: A call takes about 0.4 s; the coordinator itself may wait 10 s for an exporter that hangs.
DEADLINE_S = 10.0
#: They would point the client at other places and files than those that are meant here, and its Python to our packages.
_NOT_FOR_IT = frozenset(
    {"LG_PLACE", "PLACE", "LG_ENV", "LG_STATE", "STATE", "LG_INITIAL_STATE", "LG_TOKEN", "PYTHONPATH", "PYTHONHOME"}
)


class Labgrid:
    """One user of a labgrid coordinator.

    Args:
        options: the coordinator's address and the client program.
        user: name that locks belong to, together with this host's; it needs to be different for every job.
        deadline_s: the longest that one call of the client may take.
    """

    def __init__(self, options: LabgridOptions, user: str, deadline_s: float = DEADLINE_S) -> None:
        self.address = options.coordinator or os.environ.get("LG_COORDINATOR") or DEFAULT_COORDINATOR
        self.identity = f"{_plain(hostname())}/{_plain(user)}"
        self._client = options.client
        self._deadline_s = deadline_s

    def places(self) -> list[Place]:
        """Return every place.

        Raises:
            ConfigError: the client isn't installed.
            FarmError: the coordinator can't be reached.
        """
        return parse_places(self.places_text())

    def resources(self) -> list[Resource]:
        """Return what the exporters offer, also what is unplugged for the moment. Raises as `places`."""
        return parse_resources(self.resources_text())

    def places_text(self) -> str:
        """Return the places as the client prints them."""
        return self._call("-v", "places")

    def resources_text(self) -> str:
        """Return the resources as the client prints them."""
        return self._call("-vv", "resources")

    def holder(self, place: str) -> str | None:
        """Return who has a place, as `host/user`, or None.

        Raises:
            ConfigError: there is no such place.
        """
        return self._known(place).acquired

    def acquire(self, place: str) -> None:
        """Lock a place, once, without waiting.

        Raises:
            BusyError: somebody has it.
            ReservedError: it is free, but reserved for somebody else.
            ConfigError: there is no such place.
            FarmError: it can't be locked, or the coordinator didn't answer; then it may be locked all the same.
        """
        holder = self.holder(place)  # and the place is known: the client takes "bench-1" for bench-10, if that is all
        if holder is not None:
            raise BusyError(f"place {place} in labgrid is in use by {holder}")
        done = self._run(f"--place={place}", "acquire")
        if done.returncode == 0 and f"acquired place {place}" in done.stdout.splitlines():
            return
        said = _last_words(done)
        if "Matching resource" not in said and "already acquired" in said:  # by somebody quicker
            raise BusyError(f"place {place} in labgrid is in use by {self.holder(place) or 'another run'}")
        if "was not reserved for" in said:
            raise ReservedError(f"place {place} in labgrid is reserved for somebody else (labgrid-client reservations)")
        if "has no matching remote resource" in said:
            raise FarmError(f"place {place}: no exporter offers what it matches. Is labgrid-exporter running? {said}")
        raise self._refused(f"place {place} can't be acquired", done)

    def release(self, place: str) -> None:
        """Give a place back; nothing happens if it isn't ours. Raises as `release_from`."""
        self.release_from(place, self.identity)

    def release_from(self, place: str, holder: str) -> None:
        """Free a place if, and only if, `holder` (`host/user`) has it: the coordinator compares.

        Raises:
            FarmError: the coordinator can't be reached or refuses.
        """
        done = self._run(f"--place={place}", "release-from", holder)
        if done.returncode != 0 and not re.search(r"is not acquired|matches nothing", done.stderr):
            raise self._refused(f"place {place} can't be released", done)

    def reserve(self, tags: Mapping[str, str], priority: float = 0.0) -> Booking:
        """Queue for a place that has all of the tags (`name` is the place's name).

        labgrid forgets a reservation that isn't polled for 60 s.

        Raises:
            FarmError: the coordinator can't be reached, or refuses the tags.
        """
        filters = [f"{key}={value}" for key, value in tags.items()]
        return parse_bookings(self._call("reserve", f"--prio={priority}", *filters))[-1]

    def poll(self, token: str, wait_s: float = 5.0) -> Booking:
        """Keep a reservation alive and return how it stands, at once when it has its place, else after `wait_s`.

        Raises:
            LeaseLostError: there is no such reservation (any more).
            FarmError: the coordinator can't be reached.
        """
        done = self._run("wait", token, wait_s=wait_s)
        found = parse_bookings(done.stdout)
        if found:
            return found[-1]
        if "does not exist" in done.stderr:
            raise LeaseLostError(
                f"labgrid has no reservation {token} any more: it ran out, or the coordinator restarted"
            )
        raise self._refused(f"reservation {token} can't be polled", done)

    def cancel(self, token: str) -> None:
        """End a reservation; one that is gone is fine.

        Raises:
            FarmError: the coordinator can't be reached.
        """
        done = self._run("cancel-reservation", token)
        if done.returncode != 0 and "does not exist" not in done.stderr:
            raise self._refused(f"reservation {token} can't be cancelled", done)

    def reservations(self) -> list[Booking]:
        """Return every reservation, in the order in which they are served. Raises as `places`."""
        return parse_bookings(self._call("reservations"))

    def _known(self, place: str) -> Place:
        places = {found.name: found for found in self.places()}
        if place not in places:
            raise ConfigError(unknown_place(place, list(places)))
        return places[place]

    def _call(self, *arguments: str) -> str:
        done = self._run(*arguments)
        if done.returncode != 0:
            raise self._refused(f"labgrid-client {' '.join(arguments)} failed", done)
        return done.stdout

    def _run(self, *arguments: str, wait_s: float | None = None) -> subprocess.CompletedProcess[str]:
        """Run the client. With `wait_s` it is ended after that time, and what it printed so far is its answer."""
        command = [self._program(), "-x", self.address, *arguments]
        process = subprocess.Popen(  # noqa: S603 (the program that devices.yaml names, without a shell)
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            env=self._environment(),
            start_new_session=True,  # Ctrl-C is for us: a call that was begun is ended in order
        )
        with process:
            try:
                out, problem = process.communicate(timeout=self._deadline_s if wait_s is None else wait_s)
            except subprocess.TimeoutExpired as error:
                process.kill()
                out, problem = process.communicate()
                if wait_s is None or not out:
                    raise FarmError(
                        f"labgrid's coordinator at {self.address} didn't answer within {error.timeout:g} s"
                    ) from error
            except BaseException:
                process.kill()
                raise
        if "Could not connect to coordinator" in problem:
            raise FarmError(
                f"labgrid's coordinator at {self.address} can't be reached. Start one with `labgrid-coordinator -l "
                f"{self.address}`, or say where it is: `farm: {{engine: labgrid, labgrid: {{coordinator: "
                f'"HOST:PORT"}}}}` in devices.yaml, or LG_COORDINATOR'
            )
        return subprocess.CompletedProcess(command, process.returncode, out, problem)

    def _program(self) -> str:
        found = shutil.which(self._client)
        if found is None:
            raise ConfigError(
                f"{self._client} isn't there, and `farm: labgrid` in devices.yaml needs it. Install it in an "
                "environment of its own: `python -m venv .labgrid && .labgrid/bin/pip install labgrid`; then name it: "
                "`farm: {engine: labgrid, labgrid: {client: .labgrid/bin/labgrid-client}}`"
            )
        return found

    def _environment(self) -> dict[str, str]:
        host, user = self.identity.split("/")
        kept = {name: value for name, value in os.environ.items() if name not in _NOT_FOR_IT}
        return {**kept, "LG_HOSTNAME": host, "LG_USERNAME": user, "PYTHONUNBUFFERED": "1", "COLUMNS": "200"}

    def _refused(self, what: str, done: subprocess.CompletedProcess[str]) -> FarmError:
        return FarmError(f"{what} (coordinator {self.address}): {_last_words(done)}")


def unknown_place(place: str, known: list[str]) -> str:
    """Say that a place is missing, and how to make it."""
    return (
        f"labgrid has no place {place} (there is: {', '.join(known) or 'none'}). Make it with `labgrid-client "
        f"-p {place} create` and `labgrid-client -p {place} add-match 'HOST/GROUP/*'`, or name the right one with "
        "`place:` in devices.yaml"
    )


def _plain(name: str) -> str:
    """Make a name that labgrid can hold: it cuts `host/user` at the slash."""
    return re.sub(r"[^A-Za-z0-9._-]", "-", name)


def _last_words(done: subprocess.CompletedProcess[str]) -> str:
    said = f"{done.stdout}\n{done.stderr}".strip().splitlines()
    return " ".join(line.strip() for line in said[-3:]) or f"exit code {done.returncode}, no message"
