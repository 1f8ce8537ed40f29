"""From what an LPM01A sends to samples: lines of decimal numbers, or pairs of bytes, with time stamps in between."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import numpy as np

from harness.errors import PowerError
from harness.power.base import Chunk
from harness.power.serial_monitor import SILENT_S

if TYPE_CHECKING:
    from harness.power.base import Floats

#: Level of the inputs at the sample before a falling edge of the sync pin: all of them, as only one is looked at.
_MARK: Final = 0xFF
_STAMP_TOLERANCE_S = 0.003  # stamps are in milliseconds
#: A stamp can't be later than its samples by more than a pause that ends the stream, nor earlier than by so much.
_LATE_S, _EARLY_S = SILENT_S, 0.5
_LONGEST = 512  # bytes of a line or a message
_META, _ERROR, _INFO, _STAMP, _END, _OVER = 0xF0, 0xF1, 0xF2, 0xF3, 0xF4, 0xF5
_TAIL = b"\xff\xff"
_SIZES = {_STAMP: 9, _END: 4, _OVER: 4}
_SAMPLE = re.compile(rb"(\d{4})([+-])(\d{2})")
_STAMP_LINE = re.compile(rb"TimeStamp: (\d{1,9})s (\d{1,3})ms")


class _Decoder:
    """What both formats have in common: samples, and the time stamps between them.

    A time stamp after the first one marks a falling edge of the sync pin. It also tells how many samples there should
    have been: those that are missing are put before it, and marked as lost.

    Args:
        monitor: what messages call it.
        rate_hz: sample rate, per second.
        voltage_v: what it gives.
        limit_a: the largest current that it can measure.
    """

    def __init__(self, monitor: str, rate_hz: float, voltage_v: float, limit_a: float) -> None:
        self._monitor = monitor
        self._rate_hz = rate_hz
        self._voltage_v = voltage_v
        self._limit_a = limit_a
        self._rest = b""
        self._ended = False
        self._first_stamp_ms: int | None = None
        self._given = 0  # samples since the first stamp, lost ones included
        self._last_a = 0.0
        self._parts: list[tuple[Floats, bool]] = []
        self._marks: list[int] = []
        self._over = 0

    def feed(self, data: bytes, *, final: bool = False) -> Chunk | None:
        """Return the samples that are complete with `data`; None if there are none.

        The newest sample waits for the next call, as a mark behind it may follow.

        Raises:
            PowerError: the monitor reports an error, or bytes are missing or can't be.
        """
        self._rest = self._decode(self._rest + data)
        return self.take(final=final)

    def _decode(self, buffer: bytes) -> bytes:
        """Take what is whole; return what isn't."""
        raise NotImplementedError

    def take(self, *, final: bool = True) -> Chunk | None:
        """Return the samples that were decoded since the last call, the newest one only if nothing follows."""
        if sum(len(part) for part, _ in self._parts) <= (0 if final else 1):
            return None
        current = np.concatenate([part for part, _ in self._parts])
        lost = np.concatenate([np.full(len(part), gone) for part, gone in self._parts])
        logic = np.zeros(len(current), np.uint8)
        logic[[mark for mark in self._marks if mark >= 0]] = _MARK
        end = len(current) if final else len(current) - 1
        self._parts = [] if final else [(current[-1:], bool(lost[-1]))]
        self._marks = [] if final or not logic[-1] else [0]
        over, self._over = self._over, 0
        return Chunk(current[:end], self._voltage_v, logic[:end], lost[:end], 0, over)

    def _samples(self, current_a: Floats) -> None:
        """Add samples. What comes before the first stamp is not part of the capture."""
        if self._first_stamp_ms is not None and len(current_a):
            self._parts.append((current_a, False))
            self._given += len(current_a)
            self._last_a = float(current_a[-1])
            self._over += int(np.count_nonzero(current_a > self._limit_a))

    def _stamp(self, milliseconds: int) -> None:
        """Take a time stamp, unless it can't be the time of the samples beside it: then a byte of it is damaged."""
        if self._first_stamp_ms is None:
            self._first_stamp_ms = milliseconds
            return
        due = (milliseconds - self._first_stamp_ms) * self._rate_hz / 1000
        missing = int(due) - self._given
        if not -_EARLY_S <= missing / self._rate_hz <= _LATE_S:
            stamp_s, samples_s = due / self._rate_hz, self._given / self._rate_hz
            raise PowerError(
                f"{self._monitor}: a time stamp says {stamp_s:.3f} s where {samples_s:.3f} s of samples have come: "
                "bytes were damaged on the way; use a USB port of its own"
            )
        if missing > _STAMP_TOLERANCE_S * self._rate_hz:
            self._parts.append((np.full(missing, self._last_a), True))
            self._given += missing
        self._marks.append(sum(len(part) for part, _ in self._parts) - 1)

    def _failed(self, text: str) -> PowerError:
        return PowerError(f"{self._monitor}: it reports: {text.strip()}")

    def _unclear(self, data: bytes) -> PowerError:
        return PowerError(f"{self._monitor}: bytes were lost on the way ({data[:16]!r}); use a USB port of its own")


class AsciiDecoder(_Decoder):
    """Lines like `6409-07`, which is 6409e-7 A."""

    def _decode(self, buffer: bytes) -> bytes:
        *lines, rest = buffer.split(b"\n")
        if len(rest) > _LONGEST:
            raise self._unclear(rest)
        values = []
        for raw in lines:
            line = raw.strip(b"\r\x00 ")
            found = _SAMPLE.fullmatch(line)
            if found:
                values.append(int(found[1]) * 10.0 ** int(found[2] + found[3]))
                continue
            self._samples(np.array(values))
            values = []
            self._other(line)
        self._samples(np.array(values))
        return rest

    def _other(self, line: bytes) -> None:
        stamp = _STAMP_LINE.match(line)
        text = line.decode("ascii", "replace")
        if stamp:
            self._stamp(1000 * int(stamp[1]) + int(stamp[2]))
        elif "overcurrent" in text.lower():
            self._over += 1
        elif "error" in text.lower():
            raise self._failed(text)
        elif "Acquisition completed" in text or text.startswith("end"):
            self._ended = True
        elif line and not self._ended and "PowerShield" not in text:
            raise self._unclear(line)


class BinaryDecoder(_Decoder):
    """Pairs of bytes: four bits n, twelve bits m, which is m / 16^n A; F0 begins something else."""

    def _decode(self, buffer: bytes) -> bytes:
        position = 0
        while not self._ended:
            count = (len(buffer) - position) // 2
            pairs = np.frombuffer(buffer, ">u2", count, position)
            meta = np.flatnonzero(pairs >> 8 == _META)
            until = int(meta[0]) if len(meta) else count
            self._samples(decode_pairs(pairs[:until]))
            position += 2 * until
            size = self._meta(buffer, position) if len(meta) else 0
            if size == 0:
                break
            position += size
        return buffer[position:]

    def _meta(self, buffer: bytes, position: int) -> int:
        """Take what begins with F0; return its size, 0 if it isn't whole."""
        kind = buffer[position + 1]
        if kind in (_ERROR, _INFO):
            end = buffer.find(_TAIL, position, position + _LONGEST)
            if end < 0 and len(buffer) - position > _LONGEST:
                raise self._unclear(buffer[position:])
            if end >= 0 and kind == _ERROR:
                raise self._failed(buffer[position + 2 : end].decode("ascii", "replace"))
            return end + 2 - position if end >= 0 else 0
        if kind not in _SIZES:
            raise self._unclear(buffer[position:])
        whole = buffer[position : position + _SIZES[kind]]
        if len(whole) < _SIZES[kind]:
            return 0
        if not whole.endswith(_TAIL):
            raise self._unclear(whole)
        if kind == _STAMP:
            self._stamp(int.from_bytes(whole[2:6], "big"))
        self._over += kind == _OVER
        self._ended |= kind == _END
        return len(whole)


def decode_pairs(pairs: np.ndarray[tuple[int], np.dtype[np.uint16]]) -> Floats:
    """Turn 16-bit values into ampere."""
    amperes: Floats = (pairs & 0xFFF).astype(float) * 16.0 ** -(pairs >> 12).astype(float)
    return amperes
