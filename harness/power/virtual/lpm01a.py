"""An LPM01A that doesn't exist, on a pseudo-terminal: its commands, both formats, time stamps and errors."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from harness.boards.virtual.ports.serial_port import PtyPort
from harness.link.poll import ready
from harness.power.lpm01a import RATES
from harness.power.virtual.activity import Activity, resample

if TYPE_CHECKING:
    from harness.power.base import Floats

_BATCH = 2000
_IDLE_S = 0.002
_LIMIT_A = 0.05


@dataclass(frozen=True)
class Trouble:
    """What goes wrong on purpose.

    Attributes:
        lost_samples: share of the samples that vanish.
        refuses: a command that it doesn't accept.
        error: what it reports in the stream.
    """

    lost_samples: float = 0.0
    refuses: str = ""
    error: str = ""


class VirtualLpm01a:
    """The device's end. It works from `start` to `close` in a thread of its own.

    Attributes:
        port: path or URL that pyserial opens.
        settings: what it was told, by the first word of the command.
    """

    def __init__(
        self, activity: Activity, *, noise_a: float = 0.0, seed: int = 0, trouble: Trouble | None = None
    ) -> None:
        self._activity = activity
        self._noise_a = noise_a
        self._trouble = trouble or Trouble()
        self._random = np.random.default_rng(seed)
        self._pty = PtyPort()
        self.port = self._pty.url
        self.settings: dict[str, str] = {"freq": "100", "format": "ascii_dec"}
        self._lines = b""
        self._waiting = b""
        self._streaming = self._closing = False
        self._began_s = 0.0
        self._sent = 0
        self._high = False
        self._thread = threading.Thread(target=self._run, name="virtual LPM01A", daemon=True)

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

    @property
    def _binary(self) -> bool:
        return self.settings["format"] == "bin_hexa"

    @property
    def _rate_hz(self) -> int:
        return {text: rate for rate, text in RATES.items()}[self.settings["freq"]]

    def _run(self) -> None:
        while not self._closing:
            master, _ = self._pty.select_on(write=False)
            if ready(master[0], _IDLE_S):
                self._lines += self._pty.read()
                *lines, self._lines = self._lines.split(b"\r\n")
                for line in lines:
                    self._obey(line.decode())
            if self._streaming:
                self._produce(self._activity.now())
            self._flush()

    def _obey(self, command: str) -> None:
        word, _, rest = command.partition(" ")
        if self._trouble.refuses and command.startswith(self._trouble.refuses):
            self._waiting += f"\r\nPowerShield > error {command}\r\n\r\nError detail: not possible\r\n".encode()
            return
        if word == "stop":
            if self._streaming:
                self._finish()
            return
        self.settings[word] = rest
        self._waiting += f"\r\nPowerShield > ack {command}\r\n\r\n".encode()
        if word == "start":
            self._activity.begin()
            self._began_s = self._activity.now()
            self._sent, self._high, self._streaming = 0, False, True
            self._waiting += self._stamp(0)
            if self._trouble.error:
                text = self._trouble.error.encode()
                self._waiting += b"\xf0\xf1" + text + b"\xff\xff" if self._binary else b"error: " + text + b"\r\n"

    def _finish(self) -> None:
        now = self._activity.now()
        self._streaming = False
        while self._produce(now) and not self._closing:
            self._flush()
            time.sleep(0)
        self._activity.end()
        self._waiting += b"\xf0\xf4\xff\xff" if self._binary else b"end\r\n"
        self._waiting += b"\r\nPowerShield > Acquisition completed\r\n"

    def _produce(self, now_s: float) -> bool:
        if self._waiting:
            return True
        rate = self._rate_hz
        count = min(int((now_s - self._began_s) * rate) - self._sent, _BATCH)
        if count <= 0:
            return False
        edges = self._began_s + (self._sent + np.arange(count + 1)) / rate
        current, logic = resample(self._activity.segments(float(edges[-1])), edges)
        current = np.maximum(current + self._random.normal(0.0, self._noise_a, count), 0.0)
        high = logic != 0
        falls = np.flatnonzero(np.concatenate(([self._high], high[:-1])) & ~high)
        self._high = bool(high[-1])
        kept = self._random.random(count) >= self._trouble.lost_samples
        done = 0
        for place in [*falls.tolist(), count]:
            self._waiting += self._encode(current[done:place][kept[done:place]])
            if place < count:
                self._waiting += self._stamp(self._sent + place)
            done = place
        if (current > _LIMIT_A).any():
            self._waiting += b"\xf0\xf5\xff\xff" if self._binary else b"Overcurrent\r\n"
        self._sent += count
        return True

    def _stamp(self, samples: int) -> bytes:
        milliseconds = round(1000 * samples / self._rate_hz)
        if self._binary:
            return b"\xf0\xf3" + milliseconds.to_bytes(4, "big") + b"\x00\xff\xff"
        return f"TimeStamp: {milliseconds // 1000:03d}s {milliseconds % 1000:03d}ms, buff 00%\r\n".encode()

    def _encode(self, current_a: Floats) -> bytes:
        return encode_binary(current_a) if self._binary else encode_ascii(current_a)

    def _flush(self) -> None:
        if self._waiting:
            self._waiting = self._waiting[self._pty.write(self._waiting) :]


def encode_binary(current_a: Floats) -> bytes:
    """Return pairs of bytes: the smallest power of 16 whose mantissa fits into 12 bits."""
    power = np.clip(np.floor(np.log(4095 / np.maximum(current_a, 1e-12)) / np.log(16)), 0, 14)
    mantissa = np.minimum(np.rint(current_a * 16.0**power), 4095)
    pairs: Any = (power.astype(np.uint16) << 12 | mantissa.astype(np.uint16)).astype(">u2")
    return bytes(pairs.tobytes())


def encode_ascii(current_a: Floats) -> bytes:
    """Return lines of four digits and a power of ten."""
    lines = []
    for value in current_a.tolist():
        digits, _, power = f"{max(value, 1e-12):.3e}".partition("e")
        lines.append(f"{digits.replace('.', '')}{int(power) - 3:+03d}\r\n")
    return "".join(lines).encode()
