"""What the virtual monitors have in common: a pseudo-terminal, served by a thread, and an activity that they sample."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Self

import numpy as np

from harness.boards.virtual.ports.serial_port import PtyPort
from harness.link.poll import ready

if TYPE_CHECKING:
    from harness.power.virtual.activity import Activity

_IDLE_S = 0.002


class SerialDevice:
    """The device's end. It works from `start` to `close` in a thread of its own.

    Attributes:
        port: what pyserial opens.
    """

    def __init__(self, name: str, activity: Activity, noise_a: float, seed: int) -> None:
        self._activity = activity
        self._noise_a = noise_a
        self._random = np.random.default_rng(seed)
        self._pty = PtyPort()
        self.port = self._pty.url
        self._commands = b""  # what has come and wasn't obeyed yet
        self._waiting = b""  # what the host hasn't taken yet
        self._streaming = self._closing = False
        self._began_s = 0.0
        self._sent = 0
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Switch on."""
        self._thread.start()

    def close(self) -> None:
        """Unplug. Safe to call twice."""
        self._closing = True
        if self._thread.is_alive():
            self._thread.join()
        self._pty.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self) -> None:
        while not self._closing:
            if ready(self._pty.select_on(), _IDLE_S):
                self._commands += self._pty.read()
                self._obey()
            if self._streaming:
                self._produce(self._now())
            self._flush()

    def _now(self) -> float:
        return self._activity.now()

    def _obey(self) -> None:
        """Take the complete commands from `_commands`, and do them."""
        raise NotImplementedError

    def _produce(self, now_s: float) -> bool:
        """Add what was measured up to a time to `_waiting`; False if there is nothing more."""
        raise NotImplementedError

    def _flush(self) -> None:
        if self._waiting:
            self._waiting = self._waiting[self._pty.write(self._waiting) :]
