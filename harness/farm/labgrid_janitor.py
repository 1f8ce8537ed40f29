"""Locks that labgrid never expires: each job says that it lives, and a janitor frees the places of dead ones."""

from __future__ import annotations

import os
import re
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.errors import ConfigError, FarmError
from harness.files.json_file import make_folder, read_json, write_json
from harness.locks.state import hostname, lives, now, stamp, username

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from harness.farm.labgrid import Labgrid

TTL_S = 120.0
_JOB_USER = re.compile(r"^hil-[A-Za-z0-9._-]+-[0-9]+-[0-9a-f]{8}$")


def job_user() -> str:
    """Return a user name for labgrid that no other job has: its locks are then this job's alone."""
    plain = re.sub(r"[^A-Za-z0-9._-]", "-", f"{username()}-{hostname()}")
    return f"hil-{plain}-{os.getpid()}-{secrets.token_hex(4)}"


@dataclass(frozen=True)
class Released:
    """A place that the janitor freed, from whom (`host/user`) and why."""

    place: str
    holder: str
    reason: str


class Heartbeat:
    """Says in the state folder that a job lives, and which places it has.

    Args:
        state: the state folder, shared by the hosts of the farm.
        user: the job's name in labgrid.
    """

    def __init__(self, state: Path, user: str) -> None:
        self._path = _folder(state) / f"{user}.json"

    def beat(self, places: Iterable[str]) -> None:
        """Write it anew.

        Raises:
            ConfigError: the state folder can't be written.
        """
        content = {
            "pid": os.getpid(),
            "host": hostname(),
            "pids": _pid_space(),
            "places": sorted(set(places)),
            "heartbeat": stamp(now()),
        }
        try:
            write_json(self._path, content)
        except OSError as error:
            raise ConfigError(
                f"{self._path} can't be written: {error.strerror or error}. Name another state folder with "
                "`farm: {state: FOLDER}` in devices.yaml, or with HIL_STATE"
            ) from error

    def end(self) -> None:
        """Take it away: the job has no place any more."""
        self._path.unlink(missing_ok=True)


def janitor(labgrid: Labgrid, state: Path, ttl_s: float = TTL_S) -> list[Released]:
    """Free the places of jobs that died: no heartbeat for `ttl_s`, or their process on this host is gone.

    Places that people hold, and jobs that this state folder knows nothing of, are left alone. A job that only slept
    loses its place; its own watch tells it so.

    Raises:
        ConfigError: the client isn't installed.
        FarmError: the coordinator can't be reached or refuses.
    """
    folder = _folder(state)
    held = {place.name: place.acquired for place in labgrid.places() if place.acquired is not None}
    released = []
    problems = []
    for place, holder in held.items():
        user = holder.partition("/")[2]
        reason = _death(folder, user, ttl_s) if _JOB_USER.match(user) else None
        if reason is None:
            continue
        try:
            labgrid.release_from(place, holder)
        except FarmError as error:  # one exporter that hangs must not keep the other places locked
            problems.append(error)
        else:
            released.append(Released(place, holder, reason))
    freed = {entry.place for entry in released}
    holding = {holder.partition("/")[2] for place, holder in held.items() if place not in freed}
    for path in folder.glob("hil-*.json"):
        if path.stem not in holding and _death(folder, path.stem, ttl_s) is not None:
            path.unlink(missing_ok=True)
    if problems and not released:
        raise problems[0]
    return released


def _death(folder: Path, user: str, ttl_s: float) -> str | None:
    """Return why a job counts as dead, None if it lives or nothing is known of it."""
    path = folder / f"{user}.json"
    said = read_json(path)
    if said is None:
        return None
    pid = said.get("pid")
    here = said.get("host") == hostname() and said.get("pids") == _pid_space()
    if here and isinstance(pid, int) and not lives(pid):
        return f"its process {pid} on {hostname()} has ended"
    try:
        silent_s = _clock(folder) - path.stat().st_mtime
    except OSError:
        return None
    return f"no heartbeat for {silent_s:.0f} s" if silent_s > ttl_s else None


def _clock(folder: Path) -> float:
    """Return the time of whoever stamps the files: on a network folder that is one clock for all hosts."""
    probe = folder / f".clock-{os.getpid()}-{secrets.token_hex(4)}"
    try:
        probe.write_bytes(b"\n")
        return probe.stat().st_mtime
    finally:
        probe.unlink(missing_ok=True)


def _pid_space() -> str:
    """Name what process numbers mean here: a container on the same host counts its own."""
    try:
        return os.readlink("/proc/self/ns/pid")  # noqa: PTH115 (Path would take it for a file)
    except OSError:
        return ""


def _folder(state: Path) -> Path:
    return make_folder(state / "labgrid")
