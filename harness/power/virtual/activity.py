"""What a board does, over simulated time: the input of a simulated power monitor.

Simulated time is not the time that the emulator takes. It goes on by one cycle of the core for each instruction that
the virtual CPU issues, and by the host's time while the CPU sleeps. Real instructions take one cycle or more, so it is
shorter than a real board's. It is used for simulated power and nothing else.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.boards.virtual import VirtualMcu
    from harness.power.base import Bytes, Floats


@dataclass(frozen=True)
class CurrentProfile:
    """Supply current of a board by what its CPU does: figures of a data sheet and an assumption, no measurement.

    Attributes:
        running_a: current while the CPU executes, in ampere.
        sleeping_a: while it waits in WFI or WFE.
        noise_a: standard deviation of the noise on each sample.
        source: where the figures come from.
    """

    running_a: float
    sleeping_a: float
    noise_a: float
    source: str


#: The board idles with a UART that listens, so that its high-frequency clock stays on.
NRF52840: Final = CurrentProfile(
    running_a=3.3e-3,
    sleeping_a=0.6e-3,
    noise_a=20e-6,
    source=(
        "Running: 52 uA/MHz x 64 MHz = 3.3 mA, typical of the nRF52840 from flash at 3 V with DC/DC by its product "
        "specification. Asleep: 0.6 mA, an assumption for a UART that listens and keeps the high-frequency clock on. "
        "No other part of a board is included, and all instructions draw the same"
    ),
)
#: Those that are known, by chip.
CURRENTS: Final = {"nrf52840": NRF52840}


@dataclass(frozen=True)
class Segment:
    """A stretch of time in which nothing changes.

    Attributes:
        start_s: when it begins.
        current_a: what the board draws.
        logic: levels at the monitor's inputs, bit 0 is D0.
    """

    start_s: float
    current_a: float
    logic: int


class Activity(Protocol):
    """Where a simulated monitor learns what the board does."""

    def begin(self) -> None:
        """Record from now on."""
        ...

    def now(self) -> float:
        """Return until when, in simulated seconds, everything is known."""
        ...

    def segments(self, until_s: float) -> Sequence[Segment]:
        """Return what happened up to `until_s`, from where the last call ended, and forget what lies before."""
        ...

    def end(self) -> None:
        """Record no longer."""
        ...


class BoardActivity:
    """What a virtual board does. It hooks itself into the board's pins and its sleep."""

    def __init__(self, board: VirtualMcu, profile: CurrentProfile, sync_input: int) -> None:
        self._machine = board.machine
        self._core_hz = board.machine.wiring.clock_hz
        sync_pin = board.machine.wiring.sync
        self._profile = profile
        self._sync = 1 << sync_input
        self._lock = threading.Lock()
        self._recording = False
        self._sleeping_since = time.monotonic() if board.machine.sleeping else None
        self._asleep_at_s = board.machine.cycles() / self._core_hz  # simulated time at which that sleep began
        self._high = False
        self._newest = 0.0
        self._segments: list[Segment] = []
        gpio = board.machine.bus.gpio
        earlier = gpio.on_output

        def on_output(levels: int) -> None:
            if earlier is not None:
                earlier(levels)
            self._pin(high=bool(levels >> sync_pin & 1))

        gpio.on_output = on_output
        board.machine.on_sleep = self._sleep

    def begin(self) -> None:
        """Record from now on."""
        with self._lock:
            self._recording = True
            self._segments = []
            self._note()

    def end(self) -> None:
        """Record no longer."""
        with self._lock:
            self._recording = False
            self._segments = []

    def now(self) -> float:
        """Return the simulated time, in seconds since power-on."""
        with self._lock:
            return self._time()

    def segments(self, until_s: float) -> Sequence[Segment]:
        """Return what happened up to `until_s`."""
        with self._lock:
            count = sum(segment.start_s <= until_s for segment in self._segments)
            known, self._segments = self._segments[:count], self._segments[max(count - 1, 0) :]
            return known

    def _time(self) -> float:
        if self._sleeping_since is None:
            now = self._machine.cycles() / self._core_hz
        else:  # not by its cycles, to which it adds the whole sleep just before it says that it is awake
            now = self._asleep_at_s + time.monotonic() - self._sleeping_since
        self._newest = max(self._newest, now)
        return self._newest

    def _note(self) -> None:
        """Begin a segment; the lock is held."""
        if self._recording:
            asleep = self._sleeping_since is not None
            current = self._profile.sleeping_a if asleep else self._profile.running_a
            self._segments.append(Segment(self._time(), current, self._sync if self._high else 0))

    def _pin(self, *, high: bool) -> None:
        if high != self._high:
            with self._lock:
                self._high = high
                self._note()

    def _sleep(self, since_s: float | None) -> None:
        """Take that the CPU has slept since then, in the host's time, or that it is awake."""
        with self._lock:
            self._sleeping_since = since_s
            if since_s is not None:
                self._asleep_at_s = self._machine.cycles() / self._core_hz
            self._note()


def resample(segments: Sequence[Segment], edges_s: Floats) -> tuple[Floats, Bytes]:
    """Return mean current and levels between consecutive times.

    Args:
        segments: in order; the first begins at or before `edges_s[0]`, the last lasts for ever.
        edges_s: shape (n + 1,), ascending.

    Returns:
        Mean current in ampere of each interval, and the levels at its end, both of shape (n,).
    """
    starts = np.array([segment.start_s for segment in segments])
    currents = np.array([segment.current_a for segment in segments])
    end = max(float(edges_s[-1]), float(starts[-1]))
    lengths = np.diff(np.append(starts, end))
    charge = np.concatenate(([0.0], np.cumsum(currents * lengths)))
    at_edges = np.interp(edges_s, np.append(starts, end), charge)
    place = np.searchsorted(starts, edges_s[1:], side="right") - 1
    logic = np.array([segment.logic for segment in segments], np.uint8)[np.maximum(place, 0)]
    return np.diff(at_edges) / np.diff(edges_s), logic
