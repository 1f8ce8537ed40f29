"""`hil worker`: offers the boards of this computer to a scheduler, each by a process of its own."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from harness.boards.backends import choose_backend
from harness.config.state import hostname, is_here
from harness.errors import ConfigError, FarmError, HilError
from harness.farm.board_worker import ENDED, REFUSED
from harness.farm.cluster import configure, reach, secured

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from harness.config import Device, Lab

#: How long before a process is started again that died, and before an unreachable scheduler is asked again; doubled
#: each time, up to the second figure.
_PAUSE_S: Final = 1.0, 30.0
#: A process that has lived for so long has had no bad start.
_WELL_S: Final = 60.0
#: How often a board that isn't attached is looked for.
_LOOK_S: Final = 10.0
_STEP_S: Final = 0.5
_STOP_S: Final = 25.0


def pause_s(times: int) -> float:
    """Return how long to wait after so many failures in a row, from 1."""
    return min(_PAUSE_S[1], _PAUSE_S[0] * 2.0 ** min(times - 1, 10))


@dataclass
class _Board:
    """A board's place in a host, and the process that is at it."""

    name: str
    device: Device
    process: subprocess.Popen[str] | None = None
    folder: str = ""
    began: float = 0.0
    not_before: float = 0.0
    deaths: int = 0
    away: bool = False


@dataclass
class Host:
    """This computer's boards, as it offers them.

    Attributes:
        scheduler: its address.
        lab: the boards.
        certificates: folder of this host's; None on loopback.
        offered: the name of each worker, and the board that it is for.
        say: takes a line for people.
        stopped: set to end.
    """

    scheduler: str
    lab: Lab
    certificates: Path | None
    offered: Sequence[tuple[str, Device]]
    say: Callable[[str], None]
    stopped: threading.Event = field(default_factory=threading.Event)
    _boards: list[_Board] = field(init=False)
    _silent: int = 0
    _ask_at: float = 0.0

    def __post_init__(self) -> None:
        configure()
        secured(self.scheduler, self.certificates)
        self._boards = [_Board(name, device) for name, device in self.offered]

    def run(self) -> None:
        """Offer the boards until `stopped` is set.

        Raises:
            FarmError: the scheduler refuses this host: it has other versions.
        """
        try:
            while not self.stopped.wait(_STEP_S):
                self._tend()
        finally:
            self._stop()

    def _tend(self) -> None:
        for board in self._boards:
            if board.process is not None and board.process.poll() is not None:
                self._reaped(board, board.process)
        now = time.monotonic()
        waiting = [board for board in self._boards if board.process is None and now >= board.not_before]
        if not waiting or now < self._ask_at:
            return
        silent = reach(self.scheduler)
        if silent is not None:
            self._silent += 1
            self._ask_at = now + pause_s(self._silent)
            if self._silent == 1:
                self.say(f"no scheduler answers at {self.scheduler} ({silent}); its boards are free until one does")
            return
        if self._silent:
            self.say(f"{self.scheduler} answers again")
        self._silent = 0
        for board in waiting:
            self._start(board)

    def _start(self, board: _Board) -> None:
        away = _away(board.device)
        if away is not None:
            if not board.away:
                self.say(f"{board.name} isn't offered: {away}")
            board.away, board.not_before = True, time.monotonic() + _LOOK_S
            return
        if board.away:
            self.say(f"{board.name} is here")
        board.away, board.folder = False, tempfile.mkdtemp(prefix="hil-board-")
        files = [str(path.resolve()) if path else "" for path in (self.lab.path, self.certificates)]
        about = [self.scheduler, board.name, board.device.name, board.folder, *files]
        # A session of its own: Ctrl-C on the terminal is for this process, which lets the others end.
        board.process = subprocess.Popen(  # noqa: S603 (own program)
            [sys.executable, "-m", "harness.farm.board_worker", *about],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        board.began = time.monotonic()
        threading.Thread(target=self._listen, args=(board, board.process), daemon=True).start()

    def _listen(self, board: _Board, process: subprocess.Popen[str]) -> None:
        """Pass on what the process of a board says."""
        assert process.stdout is not None  # noqa: S101 (a pipe)
        for line in process.stdout:
            if line.strip():
                self.say(f"{board.name}: {line.rstrip()}")

    def _reaped(self, board: _Board, process: subprocess.Popen[str]) -> None:
        board.process = None
        shutil.rmtree(board.folder, ignore_errors=True)
        code = process.returncode
        if code == REFUSED:
            raise FarmError(f"{board.name} is refused; the line above says why")
        lived = time.monotonic() - board.began
        if code == ENDED and lived > _STEP_S:
            board.deaths = 0
        else:
            board.deaths = 1 if lived > _WELL_S else board.deaths + 1
            how = f"signal {-code}" if code < 0 else f"exit code {code}"
            self.say(f"{board.name}: its process ended with {how}; it is started again")
        board.not_before = time.monotonic() + pause_s(max(1, board.deaths))

    def _stop(self) -> None:
        running = [board for board in self._boards if board.process is not None]
        for board in running:
            assert board.process is not None  # noqa: S101 (as selected)
            board.process.terminate()
        deadline = time.monotonic() + _STOP_S
        for board in running:
            assert board.process is not None  # noqa: S101 (as selected)
            try:
                board.process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                board.process.kill()
                board.process.wait()
            shutil.rmtree(board.folder, ignore_errors=True)


def boards_of(lab: Lab, selectors: Sequence[str]) -> list[tuple[str, Device]]:
    """Return the boards that this computer offers: those of devices.yaml that are its own.

    Raises:
        ConfigError: there are none.
    """
    here = [device for device in lab.select(selectors) if is_here(device)]
    found = [(device.name, device) for device in here if device.hardware or device.backend is not None]
    if not found:
        raise ConfigError(f"{lab.path or 'no devices.yaml'} has no board of {hostname()} that could be offered")
    return found


def _away(device: Device) -> str | None:
    """Say why a board can't be offered now; None if it can. No emulator stands in for a real board."""
    if not device.hardware:
        return None
    try:
        choose_backend(device, device.backend or "hardware")
    except HilError as error:
        return str(error)
    return None
