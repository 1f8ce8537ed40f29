"""An LPM01A that doesn't exist, on a pseudo-terminal: its commands, both formats, time stamps and errors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.power.lpm01a import LIMIT_A, RATES
from harness.power.virtual.serial_device import SerialDevice

if TYPE_CHECKING:
    from harness.power.base import Floats
    from harness.power.virtual.activity import Activity


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


class VirtualLpm01a(SerialDevice):
    """The device's end.

    Attributes:
        settings: what it was told, by the first word of the command.
    """

    def __init__(
        self, activity: Activity, *, noise_a: float = 0.0, seed: int = 0, trouble: Trouble | None = None
    ) -> None:
        super().__init__("virtual LPM01A", activity, noise_a, seed)
        self._trouble = trouble or Trouble()
        self.settings: dict[str, str] = {"freq": "100", "format": "ascii_dec"}
        self._high = False

    @property
    def _binary(self) -> bool:
        return self.settings["format"] == "bin_hexa"

    @property
    def _rate_hz(self) -> int:
        return {text: rate for rate, text in RATES.items()}[self.settings["freq"]]

    def _obey(self) -> None:
        *lines, self._commands = self._commands.split(b"\r\n")
        for line in lines:
            self._do(line.decode())

    def _do(self, command: str) -> None:
        word, _, rest = command.partition(" ")
        if self._trouble.refuses and command.startswith(self._trouble.refuses):
            self._waiting += f"\r\nPowerShield > error {command}\r\n\r\nError detail: not possible\r\n".encode()
            return
        if word == "stop":
            if self._streaming:
                self._finish()
                self._waiting += b"\xf0\xf4\xff\xff" if self._binary else b"end\r\n"
                self._waiting += b"\r\nPowerShield > Acquisition completed\r\n"
            return
        self.settings[word] = rest
        self._waiting += f"\r\nPowerShield > ack {command}\r\n\r\n".encode()
        if word == "start":
            self._begin()
            self._high = False
            self._waiting += self._stamp(0)
            if self._trouble.error:
                text = self._trouble.error.encode()
                self._waiting += b"\xf0\xf1" + text + b"\xff\xff" if self._binary else b"error: " + text + b"\r\n"

    def _produce(self, now_s: float) -> bool:
        if self._waiting:
            return True
        current, logic = self._sample(now_s, self._rate_hz)
        count = len(current)
        if not count:
            return False
        current = np.maximum(current, 0.0)
        high = logic != 0
        falls = np.flatnonzero(np.concatenate(([self._high], high[:-1])) & ~high)
        self._high = bool(high[-1])
        kept = self._random.random(count) >= self._trouble.lost_samples
        done = 0
        for place in [*falls.tolist(), count]:
            self._waiting += (encode_binary if self._binary else encode_ascii)(current[done:place][kept[done:place]])
            if place < count:
                self._waiting += self._stamp(self._sent + place)
            done = place
        if (current > LIMIT_A).any():
            self._waiting += b"\xf0\xf5\xff\xff" if self._binary else b"Overcurrent\r\n"
        self._sent += count
        return True

    def _stamp(self, samples: int) -> bytes:
        milliseconds = round(1000 * samples / self._rate_hz)
        if self._binary:
            return b"\xf0\xf3" + milliseconds.to_bytes(4, "big") + b"\x00\xff\xff"
        return f"TimeStamp: {milliseconds // 1000:03d}s {milliseconds % 1000:03d}ms, buff 00%\r\n".encode()


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
