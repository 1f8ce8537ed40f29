"""The state folder: where the small facts lie that runs, people and hosts share."""

from __future__ import annotations

import getpass
import hashlib
import os
import socket
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import ConfigError

if TYPE_CHECKING:
    from harness.config import Device, Lab

#: Used if it is there and can be written: what an administrator makes for the users of a host.
_OF_THE_HOST = Path("/var/lib/tinyml-hil")


def hostname() -> str:
    """Return the name of this computer as `host:` in devices.yaml means it: $HIL_HOST, else what the system says."""
    return os.environ.get("HIL_HOST") or socket.gethostname()


def is_here(device: Device) -> bool:
    """Whether a device is this computer's, as far as devices.yaml says whose it is."""
    return device.host in (None, hostname())


def username() -> str:
    """Return who runs this: $HIL_USER, else the login name, else the user's number."""
    said = os.environ.get("HIL_USER")
    if said:
        return said
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container may have no name for its user
        return f"uid{os.getuid()}" if hasattr(os, "getuid") else "unknown"


def now() -> datetime:
    """Return the time in UTC."""
    return datetime.now(UTC)


def stamp(when: datetime) -> str:
    """Return a time as files hold it: ISO 8601, UTC, to the microsecond."""
    return when.astimezone(UTC).isoformat(timespec="microseconds")


def find_state(lab: Lab) -> Path:
    """Return where the state folder is, for who only reads it; it needn't be there."""
    return lab.farm.state or _default(lab)


def state_folder(lab: Lab) -> Path:
    """Return the state folder: `farm: {state: ...}`, else $HIL_STATE, the host's, or the user's. It is made if missing.

    Raises:
        ConfigError: it can't be made or written.
    """
    folder = find_state(lab)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"the state folder {folder} can't be made: {error.strerror or error}. {_REMEDY}") from error
    if not os.access(folder, os.W_OK):
        raise ConfigError(f"the state folder {folder} can't be written. {_REMEDY}")
    return folder


_REMEDY = "Name another one with `farm: {state: FOLDER}` in devices.yaml, or with HIL_STATE"


def _default(lab: Lab) -> Path:
    said = os.environ.get("HIL_STATE")
    if said:
        return Path(said).absolute()
    if _OF_THE_HOST.is_dir() and os.access(_OF_THE_HOST, os.W_OK):
        return _OF_THE_HOST
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / "tinyml-hil" / _lab_name(lab)


def _lab_name(lab: Lab) -> str:
    """Name a lab among those of its user: two may have boards of one name, which are different boards."""
    if lab.path is None:
        return "no-lab"
    path = lab.path.resolve()
    return f"{path.parent.name or 'lab'}-{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"


def lives(pid: int) -> bool:
    """Whether a process of this computer is there; True where that can't be asked."""
    if sys.platform == "win32":  # where signal 0 isn't a question; the heartbeat decides
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # another user's
        return True
    return True
