"""A PPK2 that doesn't exist, on a pseudo-terminal: commands, calibration, ranges, quantization, noise and losses."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from harness.power.ppk2_decoder import ADC_FACTOR, VOLT_PER_STEP, Calibration
from harness.power.virtual.serial_device import SerialDevice

if TYPE_CHECKING:
    from harness.power.base import Floats
    from harness.power.virtual.activity import Activity

_RATE_HZ = 100_000
_ARGUMENTS: Final = {0x01: 4, 0x02: 1, 0x08: 1, 0x0C: 1, 0x0D: 2, 0x11: 1, 0x12: 1, 0x25: 5}
_METADATA, _START, _STOP, _VOLTAGE, _POWER = 0x19, 0x06, 0x07, 0x0D, 0x0C
#: Above these currents the next range is used, in ampere.
_SWITCH_A: Final = np.array([50e-6, 500e-6, 5e-3, 60e-3])
_BUFFER_BYTES = 65536  # what Linux holds for a USB serial port that nobody reads

#: A made-up calibration, unlike that of the design, so that a host that ignores it is wrong.
METADATA: Final = (
    "Calibrated: 1\n"
    + "".join(f"R{n}: {value}\n" for n, value in enumerate((1028.11, 101.02, 10.21, 0.951, 0.0452)))
    + "".join(f"GS{n}: {value}\n" for n, value in enumerate((1.0, 3.2, 2.4, 0.8, 0.06)))
    + "".join(f"GI{n}: {value}\n" for n, value in enumerate((1.0, 0.985, 0.972, 0.966, 0.961)))
    + "".join(f"O{n}: {value}\n" for n, value in enumerate((97.5, 74.1, 66.8, 51.2, 80.3)))
    + "".join(f"S{n}: {value}\n" for n, value in enumerate((0.00000002, 0.0000003, 0.000003, 0.00004, 0.001)))
    + "".join(f"I{n}: {value}\n" for n, value in enumerate((-0.00000005, -0.000001, -0.00001, -0.0001, -0.003)))
    + "".join(f"UG{n}: 1.0\n" for n in range(5))
    + "VDD: 3300\nHW: 9173\nmode: 2\nIA: 0\nEND\n"
)


@dataclass(frozen=True)
class Trouble:
    """What goes wrong on purpose.

    Attributes:
        lost_samples: share of the samples that vanish whole; their numbers are skipped.
        lost_bytes: share of the bytes that vanish.
        metadata: what is answered instead of a good calibration.
        split_metadata: whether that comes in two pieces, 50 ms apart.
        realtime: send in the host's time, and lose what the host doesn't take, as a real one does.
    """

    lost_samples: float = 0.0
    lost_bytes: float = 0.0
    metadata: str = METADATA
    split_metadata: bool = False
    realtime: bool = False


class VirtualPpk2(SerialDevice):
    """The device's end.

    Attributes:
        lost: samples that it dropped because nobody took them, or on purpose.
    """

    def __init__(
        self, activity: Activity, *, noise_a: float = 0.0, seed: int = 0, trouble: Trouble | None = None
    ) -> None:
        super().__init__("virtual PPK2", activity, noise_a, seed)
        self._trouble = trouble or Trouble()
        self._calibration = Calibration.parse(METADATA, "virtual PPK2")
        self.lost = 0
        self.powered = False
        self._vdd_v = 3.3
        self._host_began_s = 0.0

    def stream_already(self) -> None:
        """Be streaming, as a program that was killed leaves it."""
        self._begin()

    def _obey(self) -> None:
        while self._commands:
            size = 1 + _ARGUMENTS.get(self._commands[0], 0)
            if len(self._commands) < size:
                return
            command, self._commands = self._commands[:size], self._commands[size:]
            if command[0] == _METADATA:
                self._announce()
            elif command[0] == _START:
                self._begin()
            elif command[0] == _STOP and self._streaming:
                self._finish()
            elif command[0] == _VOLTAGE:
                self._vdd_v = ((command[1] - 3) * 256 + command[2] - 32 + 800) / 1000
            elif command[0] == _POWER:
                self.powered = bool(command[1])

    def _announce(self) -> None:
        text = self._trouble.metadata.encode()
        if self._trouble.split_metadata:
            self._waiting += text[: len(text) // 2]
            self._flush()
            time.sleep(0.05)
            text = text[len(text) // 2 :]
        self._waiting += text

    def _begin(self) -> None:
        super()._begin()
        self._host_began_s = time.monotonic()

    def _now(self) -> float:
        if self._trouble.realtime:
            return self._began_s + time.monotonic() - self._host_began_s
        return self._activity.now()

    def _produce(self, now_s: float) -> bool:
        """Make samples up to that time; a host that doesn't read is waited for, unless time is the host's."""
        if self._waiting and not self._trouble.realtime:
            return True
        current, logic = self._sample(now_s, _RATE_HZ)
        count = len(current)
        if not count:
            return False
        words = encode(self._calibration, current, self._vdd_v, self._random)
        words |= (self._sent + np.arange(count)).astype(np.uint32) % 64 << 18
        words |= logic.astype(np.uint32) << 24
        self._sent += count
        if len(self._waiting) > _BUFFER_BYTES:
            self.lost += count
        else:
            self._waiting += self._damage(words)
        return True

    def _damage(self, words: Any) -> bytes:
        if self._trouble.lost_samples:
            keep = self._random.random(len(words)) >= self._trouble.lost_samples
            self.lost += int(np.count_nonzero(~keep))
            words = words[keep]
        data: bytes = words.astype("<u4").tobytes()
        if self._trouble.lost_bytes:
            kept = self._random.random(len(data)) >= self._trouble.lost_bytes
            data = np.frombuffer(data, np.uint8)[kept].tobytes()
        return data


def encode(calibration: Calibration, current_a: Floats, vdd_v: float, random: np.random.Generator) -> Any:
    """Return range and ADC value of each sample, as bits 0 to 16: the conversion of the host, undone.

    Args:
        calibration: the device's constants for each range.
        current_a: true currents; what is beyond the highest range is cut off, as are negative ones.
        vdd_v: supply of the board, in volt.
        random: for the last bit, which in a real ADC the noise decides.
    """
    ranges = np.searchsorted(_SWITCH_A, current_a)
    offset = calibration.per_volt[ranges] * vdd_v + calibration.constant[ranges]
    inner = current_a / calibration.user_gain[ranges] - offset
    square, gain = calibration.gain_square[ranges], calibration.gain[ranges]
    raw = np.maximum(2 * inner / (gain + np.sqrt(np.maximum(gain**2 + 4 * square * inner, 0.0))), 0.0)
    steps = raw * calibration.ohm[ranges] / VOLT_PER_STEP + calibration.offset[ranges]
    adc = np.floor(steps / ADC_FACTOR + random.random(len(steps)))
    return np.clip(adc, 0, 0x3FFF).astype(np.uint32) | ranges.astype(np.uint32) << 14
