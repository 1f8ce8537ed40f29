"""What the virtual monitors have in common: a pseudo-terminal, served by a thread, and an activity that they sample."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Self

import numpy as np

from harness.boards.virtual.ports.serial_port import PtyPort
from harness.link.poll import ready
from harness.power.virtual.activity import resample

if TYPE_CHECKING:
    from harness.power.base import Bytes, Floats
    from harness.power.virtual.activity import Activity

_IDLE_S = 0.002
_BATCH = 4096


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
            master, _ = self._pty.select_on(write=False)
            if ready(master[0], _IDLE_S):
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

    def _begin(self) -> None:
        """Stream from now on."""
        self._activity.begin()
        self._began_s = self._activity.now()
        self._sent = 0
        self._streaming = True

    def _finish(self) -> None:
        """Send what was measured up to now, and stop."""
        now = self._now()
        self._streaming = False
        while self._produce(now) and not self._closing:
            while self._waiting and not self._closing:
                self._flush()
                time.sleep(0)
        self._activity.end()

    def _produce(self, now_s: float) -> bool:
        """Add what was measured up to a time to `_waiting`; False if there is nothing more."""
        raise NotImplementedError

    def _sample(self, now_s: float, rate_hz: float) -> tuple[Floats, Bytes]:
        """Return currents, noise included, and levels of the next samples up to a time; some thousands at most."""
        count = min(max(int((now_s - self._began_s) * rate_hz) - self._sent, 0), _BATCH)
        if not count:
            return np.empty(0), np.empty(0, np.uint8)
        edges = self._began_s + (self._sent + np.arange(count + 1)) / rate_hz
        current, logic = resample(self._activity.segments(float(edges[-1])), edges)
        return current + self._random.normal(0.0, self._noise_a, count), logic

    def _flush(self) -> None:
        if self._waiting:
            self._waiting = self._waiting[self._pty.write(self._waiting) :]
