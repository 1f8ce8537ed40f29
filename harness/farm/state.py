"""The state folder: small facts that runs, people and hosts share, each in a file that is written whole or not."""

from __future__ import annotations

import contextlib
import getpass
import json
import os
import secrets
import socket
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.config import Lab

#: Used if it is there and can be written: what an administrator makes for the users of a host.
_OF_THE_HOST = Path("/var/lib/tinyml-hil")
#: Folders are the group's, so that the members of a lab can write what others made.
_MODE = 0o2775


def hostname() -> str:
    """Return the name of this computer as `host:` in devices.yaml means it: $HIL_HOST, else what the system says."""
    return os.environ.get("HIL_HOST") or socket.gethostname()


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


def state_folder(lab: Lab) -> Path:
    """Return the state folder: `farm: {state: ...}`, else $HIL_STATE, the host's, or the user's. It is made if missing.

    Raises:
        ConfigError: it can't be made or written.
    """
    folder = lab.farm.state or _default()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"the state folder {folder} can't be made: {error.strerror or error}. {_REMEDY}") from error
    if not os.access(folder, os.W_OK):
        raise ConfigError(f"the state folder {folder} can't be written. {_REMEDY}")
    return folder


_REMEDY = "Name another one with `farm: {state: FOLDER}` in devices.yaml, or with HIL_STATE"


def _default() -> Path:
    said = os.environ.get("HIL_STATE")
    if said:
        return Path(said).absolute()
    if _OF_THE_HOST.is_dir() and os.access(_OF_THE_HOST, os.W_OK):
        return _OF_THE_HOST
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / "tinyml-hil"


def make_folder(folder: Path) -> Path:
    """Make a folder that the group can write, and return it."""
    if not folder.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(OSError):  # somebody else's: theirs to set
            folder.chmod(_MODE)
    return folder


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Put an object into a file: a reader sees the old content or the new, also after a power cut.

    Raises:
        OSError: it can't be written.
    """
    temporary = _written(path, content)
    try:
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def create_json(path: Path, content: Mapping[str, Any]) -> bool:
    """Put an object into a new file, whole, or leave the one that is there: of several writers one succeeds.

    Returns:
        Whether this writer made the file.

    Raises:
        OSError: it can't be written.
    """
    temporary = _written(path, content)
    try:
        os.link(temporary, path)  # never replaces a file, also on network folders
    except FileExistsError:
        return False
    finally:
        temporary.unlink(missing_ok=True)
    return True


def read_json(path: Path) -> dict[str, Any] | None:
    """Return the object in a file, None if there is none or it is damaged."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def _written(path: Path, content: Mapping[str, Any]) -> Path:
    make_folder(path.parent)
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    with temporary.open("w", encoding="utf-8") as file:
        json.dump(content, file, indent=2)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    return temporary
