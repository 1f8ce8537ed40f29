"""One run at a time holds a probe or a port: a lock file, and beside it who holds it."""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Self

from filelock import FileLock, Timeout

from harness.boards.discover import attached_ports, find_port
from harness.boards.matching import port_key
from harness.errors import BusyError

if TYPE_CHECKING:
    from types import TracebackType

    from harness.boards.discover import Probe
    from harness.config import Device

#: Other users' runs must be able to open the file too.
_MODE = 0o666


class BoardLock:
    """Keeps other processes of this computer away from a probe or a port, as long as they ask for the same lock.

    Args:
        board: name for messages.
        what: `probe` or `port`.
        key: what tells it from others, the same for every process: a serial number, or where it is plugged in.
    """

    def __init__(self, board: str, what: str, key: str) -> None:
        self._board = board
        self._thing = f"{what} {key}"
        self._path = Path(tempfile.gettempdir()) / f"hil-{what}-{re.sub(r'[^A-Za-z0-9]+', '-', key)}.lock"
        self._holder = self._path.with_suffix(".holder")
        self._lock = FileLock(self._path, mode=_MODE)

    def __enter__(self) -> Self:
        """Take the lock.

        Raises:
            BusyError: another run has it, or the lock file can't be opened.
        """
        try:
            self._lock.acquire(timeout=0)
        except Timeout as error:
            raise BusyError(
                f"{self._board}: {self._thing} is in use by another run ({self._who()}); wait until that has ended"
            ) from error
        except OSError as error:
            raise BusyError(
                f"{self._board}: {self._thing} can't be reserved: {error}. If {self._path} belongs to another user, "
                "see that their run has ended, and let them remove the file"
            ) from error
        with contextlib.suppress(OSError):  # only the message of the next one needs it
            self._holder.write_text(str(os.getpid()))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):
            self._holder.unlink(missing_ok=True)
        self._lock.release()

    def _who(self) -> str:
        try:
            number = int(self._holder.read_text())
        except (OSError, ValueError):
            return "its process is not known"
        return "this program" if number == os.getpid() else f"process {number}"


def probe_lock(device: Device, probe: Probe) -> BoardLock:
    """Return the lock of an attached probe, by its serial number, else by its place."""
    return BoardLock(device.name, "probe", probe.uid if probe.serial else probe.location or probe.uid)


def port_lock(device: Device) -> BoardLock:
    """Return the lock of a device's serial port, by USB serial number, else by location.

    Raises:
        LinkError: the port isn't attached.
    """
    port = find_port(device)
    key = port_key(port, attached_ports()) or {"path": port.path}
    return BoardLock(device.name, "port", " at ".join(key.values()))
