"""Power off and on again through a USB hub, by uhubctl, and proof that it happened."""

from __future__ import annotations

import shutil
import subprocess
import time
from typing import TYPE_CHECKING

from harness.errors import BoardError

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.config.access import UsbHub

_TOOL_TIMEOUT_S = 30.0
_POLL_S = 0.05


class UsbPower:
    """The hub port that powers a board.

    Args:
        board: the name that messages give it.
        hub: where the board is plugged in.
        present: tells whether the board is there: attached, and answering where a probe can ask it.
        vanish_s: how long it may take to vanish.
        return_s: how long it may take to come back.
        off_s: how long it stays without power, so that its capacitors empty.
    """

    def __init__(
        self,
        board: str,
        hub: UsbHub,
        present: Callable[[], bool],
        *,
        vanish_s: float = 5.0,
        return_s: float = 15.0,
        off_s: float = 1.0,
    ) -> None:
        self._board = board
        self._hub = hub
        self._present = present
        self._vanish_s = vanish_s
        self._return_s = return_s
        self._off_s = off_s

    def cycle(self) -> None:
        """Switch off, see the board vanish, switch on, and see it come back.

        Raises:
            BoardError: uhubctl is missing or fails, the hub doesn't cut the power, or the board stays away.
        """
        place = f"port {self._hub.port} of hub {self._hub.location}"
        was_there = self._present()
        self._switch("off")
        try:
            vanished = self._wait(there=False, seconds=self._vanish_s)
            if vanished:
                time.sleep(self._off_s)
        finally:
            self._switch("on")
        if was_there and not vanished:
            raise BoardError(
                f"{self._board}: still there {self._vanish_s:g} s after uhubctl switched off {place}. Most hubs "
                "don't cut the power; check `power_cycle` in devices.yaml, and use a hub that uhubctl lists"
            )
        if not self._wait(there=True, seconds=self._return_s):
            raise BoardError(
                f"{self._board}: not back {self._return_s:g} s after uhubctl switched on {place}. "
                "Unplug the board and plug it in again"
            )

    def _wait(self, *, there: bool, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while self._present() != there:
            if time.monotonic() >= deadline:
                return False
            time.sleep(_POLL_S)
        return True

    def _switch(self, action: str) -> None:
        tool = shutil.which("uhubctl")
        if tool is None:
            raise BoardError(
                f"{self._board}: uhubctl is not installed, so its USB power can't be switched; install it, or remove "
                "`power_cycle` from devices.yaml"
            )
        command = [tool, "-l", self._hub.location, "-p", str(self._hub.port), "-a", action]
        try:
            done = subprocess.run(  # noqa: S603 (a fixed command)
                command, capture_output=True, text=True, errors="replace", check=False, timeout=_TOOL_TIMEOUT_S
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise BoardError(f"{self._board}: `{' '.join(command)}` failed: {error}") from error
        if done.returncode != 0:
            said = (done.stderr or done.stdout).strip()[-500:] or "it says nothing"
            raise BoardError(
                f"{self._board}: `{' '.join(command)}` ended with code {done.returncode}: {said}. May you switch "
                "the hub? (udev rules of uhubctl)"
            )
