"""Joulescope JS110 and JS220, through Jetperch's pyjoulescope_driver (extra `power`)."""

from __future__ import annotations

import queue
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.errors import PowerError
from harness.power.base import Chunk, MonitorInfo, join

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from harness.power.base import Flags, Floats

#: JS110 and JS220.
USB_IDS = ((0x16D0, 0x0E88), (0x16D0, 0x10BA))
_SIGNALS = ("i", "v", "gpi/{input}")
_WAIT_S, _SILENT_S, _QUIET_S = 0.05, 5.0, 0.2
_LIMIT_A = 3.0


@dataclass
class _Signal:
    """What has come of one signal and isn't given away yet."""

    most_missing: int  # samples that may be skipped in one place
    first: int | None = None  # number of the first sample that is kept
    parts: list[tuple[Floats, Flags]] = field(default_factory=list)

    @property
    def end(self) -> int:
        return (self.first or 0) + sum(len(part) for part, _ in self.parts)

    def add(self, number: int, data: Floats) -> None:
        """Append samples; where numbers are skipped, the last value stands and counts as lost.

        Levels come eight to a byte, so the last byte may have held more of them than there were: a number that is
        lower than expected tells, and they are dropped.

        Raises:
            PowerError: a number can't be that of the samples beside it.
        """
        if self.first is None:
            self.first = number
        missing = number - self.end
        if not -8 < missing <= self.most_missing:
            raise PowerError(
                f"the samples' numbers jump by {missing}, from {self.end} to {number}; use a USB port of its own and a "
                "computer that has time"
            )
        if missing > 0:
            last = next((part[-1] for part, _ in reversed(self.parts) if len(part)), data[0])
            self.parts.append((np.full(missing, float(last)), np.ones(missing, np.bool_)))
        elif missing < 0 and self.parts:
            values, lost = self.parts.pop()
            self.parts.append((values[:missing], lost[:missing]))
        self.parts.append((data, np.zeros(len(data), np.bool_)))

    def take(self, begin: int, end: int) -> tuple[Floats, Flags]:
        """Remove the samples up to `end`; return those from `begin` on, with which of them were lost."""
        first = self.first or 0
        values, lost = (np.concatenate([part[place] for part in self.parts]) for place in (0, 1))
        self.first, self.parts = end, [(values[end - first :], lost[end - first :])]
        return values[begin - first : end - first], lost[begin - first : end - first]


def load_driver() -> Any:
    """Start Joulescope's own driver, a `pyjoulescope_driver.Driver`.

    Raises:
        PowerError: it isn't installed.
    """
    try:
        from pyjoulescope_driver import Driver  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise PowerError("pyjoulescope_driver is missing: pip install 'tinyml-hil[power]'") from error
    return Driver()


class Joulescope:
    """A Joulescope in the board's supply.

    Args:
        driver: Joulescope's own, from `load_driver`.
        serial: its serial number, None for the only one.
        voltage_v: what the board's supply gives, for the record; the voltage of each sample is measured.
        rate_hz: sample rate, per second.
        sync_input: which of its inputs carries the sync pin.

    Raises:
        PowerError: it isn't attached, or can't be set.
    """

    def __init__(self, driver: Any, serial: str | None, voltage_v: float, rate_hz: int, sync_input: int) -> None:
        self._driver = driver
        self._path = _choose(driver.device_paths(), serial)
        number = self._path.rpartition("/")[2]
        self._name = f"Joulescope {number}"
        self._sync = 1 << sync_input
        self._topics = [f"{self._path}/s/{signal.format(input=sync_input)}" for signal in _SIGNALS]
        self._queue: queue.SimpleQueue[tuple[str, Mapping[str, Any]]] = queue.SimpleQueue()
        self._signals: dict[str, _Signal] = {}
        self._heard = 0.0
        self._most_missing = int(_SILENT_S * rate_hz)
        model, range_key = ("js110", "select") if "js110" in self._path else ("js220", "mode")
        try:
            driver.open(self._path, "defaults")
            driver.publish(f"{self._path}/h/fs", rate_hz)
            driver.publish(f"{self._path}/s/i/range/{range_key}", "auto")
        except Exception as error:
            raise PowerError(f"{self._name}: it can't be set to {rate_hz} samples per second ({error})") from error
        self.info = MonitorInfo("joulescope", number, rate_hz, voltage_v, simulated=False, note=model, limit_a=_LIMIT_A)

    def start(self) -> None:
        """Begin to stream.

        Raises:
            PowerError: the driver refuses.
        """
        self._queue = queue.SimpleQueue()
        self._signals = {topic: _Signal(self._most_missing) for topic in self._topics}
        self._heard = time.monotonic()
        try:
            for topic in self._topics:
                self._driver.subscribe(f"{topic}/!data", "pub", self._on_data)
                self._driver.publish(f"{topic}/ctrl", 1)
        except Exception as error:
            raise self._gone(error) from error

    def read(self) -> Chunk | None:
        """Return the samples that have come on all signals.

        Raises:
            PowerError: nothing came for 5 s, or their numbers can't be.
        """
        if self._collect():
            self._heard = time.monotonic()
        elif time.monotonic() - self._heard > _SILENT_S:
            raise PowerError(f"{self._name}: it has stopped sending samples, was it unplugged?")
        return self._chunk()

    def stop(self) -> Chunk | None:
        """End the stream and return what was on its way.

        Raises:
            PowerError: the driver refuses, or the samples' numbers can't be.
        """
        chunks = []
        quiet_since = time.monotonic()
        while time.monotonic() - quiet_since < _QUIET_S and time.monotonic() - self._heard < 2 * _QUIET_S:
            if not self._collect():
                break
            chunks.append(self._chunk())
        try:
            for topic in self._topics:
                self._driver.publish(f"{topic}/ctrl", 0)
                self._driver.unsubscribe(f"{topic}/!data", self._on_data)
        except Exception as error:
            raise self._gone(error) from error
        self._collect()
        return join([*chunks, self._chunk()])

    def close(self) -> None:
        """Let go of it and end the driver."""
        with suppress(Exception):
            self._driver.close(self._path)
        with suppress(Exception):
            self._driver.finalize()

    def _on_data(self, topic: str, value: Mapping[str, Any]) -> None:
        """Take what is published, in the driver's thread."""
        self._queue.put((topic.removesuffix("/!data"), value))

    def _collect(self) -> bool:
        """Take what has come, after waiting a moment for it; False if nothing has."""
        waited = False
        while True:
            try:
                topic, value = self._queue.get(timeout=0 if waited else _WAIT_S)
            except queue.Empty:
                return waited
            waited = True
            number = int(value["sample_id"]) // int(value["decimate_factor"])
            data = np.asarray(value["data"])
            if topic == self._topics[-1]:
                data = np.unpackbits(data.astype(np.uint8), bitorder="little")
            try:
                self._signals[topic].add(number, data.astype(float))
            except PowerError as error:
                raise PowerError(f"{self._name}: {error}") from error

    def _chunk(self) -> Chunk | None:
        signals = [self._signals[topic] for topic in self._topics]
        if any(signal.first is None for signal in signals):
            return None
        begin = max(signal.first or 0 for signal in signals)
        *analog, levels = (signal.end for signal in signals)
        end = min(analog)
        if not levels - 8 < end <= levels:  # not all of the same piece, so the last byte of levels may be padded
            end = min(end, levels - 7)
        if end <= begin:
            return None
        (current, lost), (voltage, lost_v), (level, lost_g) = (signal.take(begin, end) for signal in signals)
        logic = np.where(level > 0, self._sync, 0).astype(np.uint8)
        gone = np.isnan(current) | np.isnan(voltage)  # how the driver marks samples that it lost
        over = int(np.count_nonzero(np.abs(current) > _LIMIT_A))
        return Chunk(_filled(current, gone), _filled(voltage, gone), logic, lost | lost_v | lost_g | gone, 0, over)

    def _gone(self, error: Exception) -> PowerError:
        return PowerError(f"{self._name}: the driver reports {error}; was it unplugged?")


def _filled(values: Floats, gone: Flags) -> Floats:
    """Put what lies between its neighbours where a value is gone; 0 if all of them are."""
    if gone.all():
        return np.zeros(len(values))
    places = np.arange(len(values))
    return np.interp(places, places[~gone], values[~gone]) if gone.any() else values


def _choose(paths: Sequence[str], serial: str | None) -> str:
    matching = [path for path in paths if serial is None or path.lower().endswith(f"/{serial.lower()}")]
    seen = ", ".join(sorted(paths)) or "none"
    if not matching:
        raise PowerError(f"no Joulescope {serial or ''} is attached (there are: {seen}); plug it in")
    if len(matching) > 1:
        raise PowerError(f"{len(matching)} Joulescopes could be meant ({seen}); say which one with `serial:`")
    return matching[0]
