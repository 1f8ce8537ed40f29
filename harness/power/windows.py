"""Runs batches of inferences while a power monitor streams, until there are enough windows to believe."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from harness.errors import MeasurementError, PowerError
from harness.power.capture import Recording
from harness.power.judge import Plan, Window, Work, judge, outliers
from harness.power.marks import MarkFinder
from harness.power.pulses import PulseFinder

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from harness.errors import HilError
    from harness.link.messages import Inference, Info
    from harness.power.base import Chunk, Monitor

_MARGIN = 1.02  # the window is a bit longer than asked, as inferences are not all alike
_BEGIN_S = 5.0  # a monitor has begun to send by then, and a virtual board has idled
_SAME_IN_A_ROW = 3
_BY_CHANCE = {"", "spread", "damaged edge"}


class WindowsError(Exception):
    """Too few windows can be used; carries those that were taken, and what to raise.

    Attributes:
        windows: all of them, in order.
        reason: PowerError, or MeasurementError if the clocks disagree.
    """

    def __init__(self, windows: Sequence[Window], reason: HilError) -> None:
        super().__init__(str(reason))
        self.windows = tuple(windows)
        self.reason = reason


class Runner(Protocol):
    """The part of the link that windows need."""

    def infer(self, data: bytes, count: int = 1) -> Inference:
        """Run `count` inferences on an input, with the sync pin high."""
        ...


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
class Task:
    """What runs in the windows.

    Attributes:
        runner: the link to the board.
        data: input tensors as bytes, at least one; each window runs on one of them, in turn.
        info: what the board announced of itself.
        ticks: what one inference takes, about.
        raw: opens the file for the samples of a window, by its number; None keeps none.
        on_progress: called with how many windows are done.
    """

    runner: Runner
    data: tuple[bytes, ...]
    info: Info
    ticks: float
    raw: Callable[[int], RawFile] | None = None
    on_progress: Callable[[int], None] = lambda _done: None


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


def measure(monitor: Monitor, task: Task, plan: Plan, sync_input: int) -> list[Window]:
    """Take windows until enough of them are believed and agree.

    Returns:
        All windows, in order; those that aren't used say why.

    Raises:
        PowerError: the monitor fails.
        WindowsError: too many windows can't be used.
        BoardError: the board failed.
    """
    windows: list[Window] = []
    while len(windows) < plan.attempts:
        windows.append(_window(len(windows), monitor, task, plan, sync_input))
        _give_up_early(windows)
        used = [window for window in windows if not window.problem]
        task.on_progress(min(len(used), plan.windows))
        if len(used) >= plan.windows:
            far = outliers(used, plan)
            if not far:
                return windows
            windows = [_rejected(window, far.get(window.number)) for window in windows]
    raise WindowsError(windows, PowerError(f"{_tally(windows, plan)} The last one: {_last_reason(windows)}"))


def _rejected(window: Window, reason: str | None) -> Window:
    return window if reason is None else replace(window, problem="spread", reason=reason)


def _window(number: int, monitor: Monitor, task: Task, plan: Plan, sync_input: int) -> Window:
    rate = monitor.info.sample_rate_hz
    idle = int(plan.idle_s * rate)
    marked = MarkFinder(sync_input, idle, rate) if monitor.info.edges == "falling" else None
    whole = PulseFinder(sync_input, idle)
    raw = task.raw(number) if task.raw else None
    finder = marked or whole
    recording = Recording(monitor, [finder.feed, *([raw.write] if raw else [])])
    sizes = batches(plan, task.ticks / task.info.counter_hz, rate, task.info.max_batch)
    ticks: list[int] = []
    data = task.data[number % len(task.data)]
    try:
        recording.start()
        began = time.monotonic()
        recording.wait_for_samples(idle, plan.idle_s + _BEGIN_S)
        for size in sizes:
            ticks.append(sum(task.runner.infer(data, size).ticks))
            recording.check()
        recording.wait(plan.idle_s)
        recording.wait_until(lambda: finder.has_idled(len(sizes)), _BEGIN_S)
        host_s = time.monotonic() - began
        recording.stop()
    finally:
        recording.abandon()
        if raw:
            raw.close()
    capture = marked.finish([spent / task.info.counter_hz for spent in ticks]) if marked else whole.finish()
    work = Work(len(sizes), sum(sizes), sum(ticks), task.info.counter_hz, task.info.input_bytes)
    window = judge(number, work, capture, monitor.info, plan, sync_input, host_s=host_s)
    return replace(window, file=raw.name) if raw else window


def _give_up_early(windows: Sequence[Window]) -> None:
    """What goes wrong three times in a row goes wrong again."""
    latest = windows[-_SAME_IN_A_ROW:]
    problems = {window.problem for window in latest}
    if len(latest) < _SAME_IN_A_ROW or len(problems) > 1 or problems & _BY_CHANCE:
        return
    error = MeasurementError if problems == {"clock"} else PowerError
    raise WindowsError(windows, error(f"{latest[-1].reason} ({_SAME_IN_A_ROW} windows in a row)"))


def _tally(windows: Sequence[Window], plan: Plan) -> str:
    used = sum(not window.problem for window in windows)
    return f"only {used} of {len(windows)} windows can be used, {plan.windows} are needed."


def _last_reason(windows: Sequence[Window]) -> str:
    return next(window.reason for window in reversed(windows) if window.problem)
