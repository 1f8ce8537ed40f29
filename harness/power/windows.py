"""Runs batches of inferences while a power monitor streams, until there are enough windows to believe."""

from __future__ import annotations

import math
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from harness.errors import HilError, MeasurementError, PowerError
from harness.power.judge import Plan, Window, Work, judge, outliers
from harness.power.pulses import MarkFinder, PulseFinder

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from harness.link.messages import Inference, Info
    from harness.power.base import Chunk, Monitor, MonitorInfo

_MARGIN = 1.02  # the window is a bit longer than asked, as inferences are not all alike
_BEGIN_S = 5.0  # a monitor has begun to send by then, and a virtual board has idled
_POLL_S = 0.005
_SAME_IN_A_ROW = 3
_BY_CHANCE = {"", "spread", "damaged edge"}


class RawFile(Protocol):
    """Where the samples of one window go."""

    name: str

    def write(self, chunk: Chunk) -> None:
        """Add samples."""
        ...

    def close(self) -> None:
        """Finish the file."""
        ...


@dataclass(frozen=True)
class Job:
    """One case whose energy is measured, after its predictions were.

    Attributes:
        infer: runs so many inferences on an input tensor, with the sync pin high.
        info: what the board announced of itself.
        inputs: the case's input tensors, at least one.
        ticks: what one inference takes, about.
        open_raw: opens the file for the samples of a window, from its number, the monitor, and which of the monitor's
            inputs is the sync pin; None keeps none.
        on_windows: called with the windows, as rows of the windows table; the rejected ones, too.
        log: called with what went wrong, where the case goes on without energy.
        on_progress: called with what is being done, how many windows are done, and of how many.
    """

    infer: Callable[[bytes, int], Inference]
    info: Info
    inputs: Sequence[bytes]
    ticks: float
    open_raw: Callable[[int, MonitorInfo, int], RawFile] | None = None
    on_windows: Callable[[Sequence[dict[str, Any]]], None] = lambda _rows: None
    log: Callable[[str], None] = lambda _text: None
    on_progress: Callable[[str, int, int], None] = lambda _what, _done, _of: None


def batches(plan: Plan, seconds: float, rate_hz: float, largest: int) -> list[int]:
    """Say how many inferences each batch of a window has.

    Args:
        plan: how long a window is at least, and how many samples it holds.
        seconds: how long one inference takes.
        rate_hz: sample rate of the monitor, per second.
        largest: inferences that the agent runs at once.
    """
    count = math.ceil(_MARGIN * max(plan.window_s, plan.samples / rate_hz) / seconds)
    number = math.ceil(count / largest)
    return [count // number + (place < count % number) for place in range(number)]


def measure(monitor: Monitor, job: Job, plan: Plan, sync_input: int) -> tuple[list[Window], HilError | None]:
    """Take windows until enough of them are believed and agree.

    Returns:
        All windows, in order; those that aren't used say why. And what to raise if too few can be used: PowerError, or
        MeasurementError if the clocks disagree.

    Raises:
        PowerError: the monitor fails.
        BoardError: the board failed.
    """
    windows: list[Window] = []
    while len(windows) < plan.attempts:
        windows.append(_window(len(windows), monitor, job, plan, sync_input))
        if error := _hopeless(windows):
            return windows, error
        used = [window for window in windows if not window.problem]
        job.on_progress("energy", min(len(used), plan.windows), plan.windows)
        if len(used) >= plan.windows:
            far = outliers(used, plan)
            if not far:
                return windows, None
            windows = [
                replace(window, problem="spread", reason=far[window.number]) if window.number in far else window
                for window in windows
            ]
    count = sum(not window.problem for window in windows)
    last = next(window.reason for window in reversed(windows) if window.problem)
    return windows, PowerError(
        f"only {count} of {len(windows)} windows can be used, {plan.windows} are needed. The last one: {last}"
    )


def _window(number: int, monitor: Monitor, job: Job, plan: Plan, sync_input: int) -> Window:
    rate = monitor.info.sample_rate_hz
    idle = int(plan.idle_s * rate)
    marked = MarkFinder(sync_input, idle, rate) if monitor.info.edges == "falling" else None
    whole = PulseFinder(sync_input, idle)
    raw = job.open_raw(number, monitor.info, sync_input) if job.open_raw else None
    finder = marked or whole
    recording = _Recording(monitor, [finder.feed, *([raw.write] if raw else [])])
    sizes = batches(plan, job.ticks / job.info.counter_hz, rate, job.info.max_batch)
    ticks: list[int] = []
    data = job.inputs[number % min(plan.inputs, len(job.inputs))]
    try:
        recording.start()
        began = time.monotonic()
        recording.wait(plan.idle_s + _BEGIN_S, lambda: recording.samples >= idle)
        for size in sizes:
            ticks.append(sum(job.infer(data, size).ticks))
            recording.check()
        recording.wait(plan.idle_s)
        recording.wait(_BEGIN_S, lambda: finder.has_idled(len(sizes)))
        host_s = time.monotonic() - began
        recording.stop()
    finally:
        recording.abandon()
        if raw:
            raw.close()
    capture = marked.finish([spent / job.info.counter_hz for spent in ticks]) if marked else whole.finish()
    work = Work(len(sizes), sum(sizes), sum(ticks), job.info.counter_hz, job.info.input_bytes)
    window = judge(number, work, capture, monitor.info, plan, sync_input, host_s=host_s)
    return replace(window, file=raw.name) if raw else window


def _hopeless(windows: Sequence[Window]) -> HilError | None:
    """What goes wrong three times in a row goes wrong again."""
    latest = windows[-_SAME_IN_A_ROW:]
    problems = {window.problem for window in latest}
    if len(latest) < _SAME_IN_A_ROW or len(problems) > 1 or problems & _BY_CHANCE:
        return None
    error = MeasurementError if problems == {"clock"} else PowerError
    return error(f"{latest[-1].reason} ({_SAME_IN_A_ROW} windows in a row)")


class _Recording:
    """One capture: from `start` to `stop` every chunk of a monitor goes to the sinks, in a thread of its own.

    Each call raises PowerError if the monitor failed meanwhile.
    """

    def __init__(self, monitor: Monitor, sinks: Sequence[Callable[[Chunk], None]]) -> None:
        self.samples = 0
        self._monitor = monitor
        self._sinks = sinks
        self._stop = threading.Event()
        self._failure: BaseException | None = None
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="power monitor", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._monitor.start()
        self._thread.start()

    def wait(self, seconds: float, true: Callable[[], bool] = lambda: False) -> None:
        """Let time pass, at most until something is true: monitor and host may take a while to begin."""
        end = time.monotonic() + seconds
        while not true() and (left := end - time.monotonic()) > 0:
            self.check()
            time.sleep(min(left, _POLL_S))
        self.check()

    def check(self) -> None:
        """Raise what went wrong in the reading thread, if anything did."""
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        """End the capture and hand the rest over."""
        self._join()
        self.check()
        self._ended = True
        self._pass_on(self._monitor.stop())

    def abandon(self) -> None:
        """End a capture that nobody wants any longer; nothing is left to do after `stop`."""
        self._join()
        if not self._ended:
            self._ended = True
            with suppress(PowerError):  # what ended the capture is the error to report
                self._monitor.stop()

    def _join(self) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                self._pass_on(self._monitor.read())
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that measures
            self._failure = error

    def _pass_on(self, chunk: Chunk | None) -> None:
        if chunk is not None:
            self.samples += len(chunk)
            for sink in self._sinks:
                sink(chunk)
