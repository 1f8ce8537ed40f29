"""Which windows are believed, and why the others are not."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from harness.power.base import MonitorInfo
    from harness.power.pulses import Capture, Idle

#: Monitor and board may disagree by so much about how long the inferences took.
_CLOCK_TOLERANCE = 0.005
#: Before each inference but the first the agent loads the input again and reads its clocks, with the pin high and
#: outside of what it counts: so many ticks, and so many for each byte of input, at most.
_LOADING_TICKS = 300
_LOADING_TICKS_PER_BYTE = 2
#: Idle current before and after may differ by so much.
_IDLE_TOLERANCE = 0.1
_LATENCY_S = 0.1  # of a monitor's start and stop
_LEAST_CHANGE = 0.02  # of the idle current
_NOISE = 0.05  # of the current during inferences: what a monitor's zero may be off when a board sleeps deeply
_LEAST_V, _MOST_V = 0.9, 30.0  # supplies of microcontroller boards


@dataclass(frozen=True)
class Plan:
    """How energy is measured.

    Attributes:
        window_s: inferences of a window take at least so long.
        samples: and hold at least so many samples.
        windows: how many windows are used.
        idle_s: how long the board is watched idling before and after each.
        max_lost: larger share of lost samples: the window isn't used.
        max_spread: further from the median of the windows, as a share: the window isn't used.
        inputs: on how many input tensors the windows run, in turn.
    """

    window_s: float = 10.0
    samples: int = 1000
    windows: int = 5
    idle_s: float = 1.0
    max_lost: float = 0.01
    max_spread: float = 0.02
    inputs: int = 1

    @property
    def attempts(self) -> int:
        """How many windows are tried at most."""
        return 3 * self.windows


@dataclass(frozen=True)
class Work:
    """What the board did in a window, by its own count.

    Attributes:
        batches: how often it raised the sync pin.
        inferences: how many were run in all batches.
        ticks: sum over all inferences.
        counter_hz: ticks of the board's counter per second.
        input_bytes: size of the input of one inference.
    """

    batches: int
    inferences: int
    ticks: int
    counter_hz: int
    input_bytes: int

    @property
    def seconds(self) -> float:
        """How long the inferences took by the board's counter; simulated seconds on a virtual board."""
        return self.ticks / self.counter_hz

    @property
    def loading_s(self) -> float:
        """How long the pin may be high beyond that."""
        ticks = self.inferences * (_LOADING_TICKS + _LOADING_TICKS_PER_BYTE * self.input_bytes)
        return ticks / self.counter_hz


@dataclass(frozen=True)
class Window:
    """One window and what came of it. Energy is per inference.

    Attributes:
        number: place of the window in its case, from 0.
        problem: short name of why it isn't used; "" if it is.
        reason: the problem in a sentence.
        file: name of the raw samples' file; None if they weren't kept.
    """

    number: int
    work: Work
    capture: Capture
    monitor_s: float
    energy_uj: float | None
    energy_net_uj: float | None
    current_a: float | None
    peak_a: float | None
    problem: str = ""
    reason: str = ""
    file: str | None = None


def judge(
    number: int,
    work: Work,
    capture: Capture,
    info: MonitorInfo,
    plan: Plan,
    sync_input: int,
    *,
    host_s: float | None = None,
) -> Window:
    """Turn a capture into a window, and say whether it is believed.

    `host_s` is how long the capture took by the host's clock: a loss of whole stretches shows there, while the numbers
    of the samples may go on as if nothing was missing. It isn't looked at for simulated time.

    Energy of one inference is the sum of voltage x current x sample time over the batches, divided by the inferences;
    the net one is less idle power x duration.
    """
    problems = chain(_stream_problems(work, capture, info, plan, sync_input, host_s), _problems(work, capture, info))
    problem, text = next(problems, ("", ""))
    reason = f"{info.name}: {text}" if problem else ""
    step_s = 1.0 / info.sample_rate_hz
    high = capture.high
    if not high:
        return Window(number, work, capture, 0.0, None, None, None, None, problem, reason)
    energy = sum(pulse.energy for pulse in capture.pulses) * step_s
    idle = mean_idle(capture)
    net = None if idle is None else energy - idle.power_w * high * step_s
    return Window(
        number,
        work,
        capture,
        high * step_s,
        1e6 * energy / work.inferences,
        None if net is None else 1e6 * net / work.inferences,
        sum(pulse.charge for pulse in capture.pulses) / high,
        max(pulse.peak_a for pulse in capture.pulses),
        problem,
        reason,
    )


def mean_idle(capture: Capture) -> Idle | None:
    """Return the mean of idle before and after; None if one of them is missing."""
    before, after = capture.before, capture.after
    if before is None or after is None:
        return None
    return type(before)((before.current_a + after.current_a) / 2, (before.power_w + after.power_w) / 2)


def idle_differs(capture: Capture) -> bool:
    """Whether the board idled differently before and after the batches."""
    before, after = capture.before, capture.after
    if before is None or after is None:
        return False
    difference = abs(before.current_a - after.current_a)
    return difference > _IDLE_TOLERANCE * max(abs(before.current_a), abs(after.current_a))


def _stream_problems(
    work: Work, capture: Capture, info: MonitorInfo, plan: Plan, sync: int, host_s: float | None
) -> Iterator[tuple[str, str]]:
    """Yield the reasons not to believe a stream: a short name and a sentence. Each takes for granted those before."""
    samples, rate, pulses = capture.samples, info.sample_rate_hz, capture.pulses
    if not samples:
        yield "no samples", "no samples came"
    if host_s is not None and not info.simulated and samples < ((1 - _CLOCK_TOLERANCE) * host_s - _LATENCY_S) * rate:
        yield (
            "lost samples",
            (
                f"{samples} samples came in {host_s:.2f} s, {host_s * rate:.0f} were due: "
                "whole stretches are missing; use a USB port of its own and a computer that has time"
            ),
        )
    if not pulses:
        yield "no sync", _no_sync(sync, capture, work)
    if capture.over_range:
        yield (
            "over range",
            (
                f"{capture.over_range} samples are beyond its range of {info.limit_a:g} A; "
                "measure this board with another monitor"
            ),
        )
    lost = capture.lost / samples
    if lost > plan.max_lost:
        yield (
            "lost samples",
            (
                f"{100 * lost:.2f} % of the samples were lost, {100 * plan.max_lost:g} % are allowed; "
                "use a USB port of its own and a computer that has time"
            ),
        )
    if len(pulses) != work.batches:
        yield (
            "edge count",
            (
                f"the sync pin went high {len(pulses)} times on D{sync}, but the board ran {work.batches} "
                "batches; look for a loose wire"
            ),
        )
    if any(pulse.damaged for pulse in pulses):
        yield "damaged edge", "samples are lost beside an edge of the sync pin"


def _problems(work: Work, capture: Capture, info: MonitorInfo) -> Iterator[tuple[str, str]]:
    """Yield the reasons not to believe what the board did, once the stream is believed."""
    before, after = capture.before, capture.after
    if before is None or after is None:
        yield "not idle", "the sync pin was high while the board should have idled"
    elif idle_differs(capture):
        yield (
            "idle differs",
            (
                f"the idle current was {1e6 * before.current_a:.1f} uA before the inferences and "
                f"{1e6 * after.current_a:.1f} uA after them; something else on the board was at work"
            ),
        )
    if (found := implausible(capture))[0]:
        yield found
    seconds, slack = capture.high / info.sample_rate_hz, len(capture.pulses) * 2 / info.sample_rate_hz
    low = work.seconds * (1 - _CLOCK_TOLERANCE) - slack
    top = work.seconds * (1 + _CLOCK_TOLERANCE) + slack + work.loading_s
    if info.edges == "both" and not low <= seconds <= top:
        yield (
            "clock",
            (
                f"{work.inferences} inferences took {seconds:.6f} s by the monitor's clock and "
                f"{work.seconds:.6f} s by the board's counter at {work.counter_hz / 1e6:g} MHz; more than "
                f"{100 * _CLOCK_TOLERANCE:g} % apart, so one of the clocks is not what it says"
            ),
        )


def implausible(capture: Capture) -> tuple[str, str]:
    """Say why currents and voltages can't be those of a board that infers; empty texts if they can.

    Returns:
        A short name and a sentence.
    """
    current = sum(pulse.charge for pulse in capture.pulses) / capture.high
    idle = mean_idle(capture)
    if current <= 0 or (idle is not None and idle.current_a < 0 and -idle.current_a > _NOISE * current):
        return "reversed", (
            f"the mean current is {1e6 * current:.1f} uA during inferences"
            + (f" and {1e6 * idle.current_a:.1f} uA without" if idle is not None else "")
            + ", and a board takes current, it doesn't give any; are the leads swapped?"
        )
    if not _LEAST_V <= capture.voltage_v <= _MOST_V:
        return "voltage", (
            f"the supply is {capture.voltage_v:g} V, and boards run on {_LEAST_V:g} to {_MOST_V:g} V; is it in "
            "millivolt, or from another input?"
        )
    if idle is not None and abs(current - idle.current_a) <= _LEAST_CHANGE * abs(idle.current_a):
        return "no change", (
            f"the current is {1e6 * current:.1f} uA during inferences and {1e6 * idle.current_a:.1f} uA "
            "without; does it measure another board than the one that the sync pin belongs to, or only its "
            "regulator's input?"
        )
    return "", ""


def _no_sync(sync: int, capture: Capture, work: Work) -> str:
    text = f"no edge came on D{sync}, but the board ran {work.batches} batches; connect the sync pin to it"
    if capture.other_edges:
        seen = ", ".join(f"{edges} on D{number}" for number, edges in sorted(capture.other_edges.items()))
        text += f", or set sync_input: there were edges on another input ({seen})"
    return text


def outliers(windows: Sequence[Window], plan: Plan) -> dict[int, str]:
    """Return which of the believed windows disagree with the others, by number, and how."""
    energies = [window.energy_uj for window in windows if window.energy_uj is not None]
    median = float(np.median(energies))
    return {
        window.number: (
            f"{window.energy_uj:.4g} uJ per inference, {100 * abs(window.energy_uj / median - 1):.1f} % from the "
            f"median of the windows, {median:.4g} uJ; {100 * plan.max_spread:g} % are allowed"
        )
        for window in windows
        if window.energy_uj is not None and abs(window.energy_uj - median) > plan.max_spread * abs(median)
    }
