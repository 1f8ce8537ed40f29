"""The simulated time of a board that falls asleep and wakes up, by a clock of the test's own."""

from types import SimpleNamespace

import pytest

from harness.power.virtual import activity as module
from harness.power.virtual.activity import NRF52840, BoardActivity


@pytest.fixture
def clock(monkeypatch):
    made = SimpleNamespace(now=100.0)
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: made.now))
    return made


class Machine:
    """The part of the virtual board's machine that tells the time."""

    wiring = SimpleNamespace(clock_hz=64e6, sync=43)

    def __init__(self):
        self.bus = SimpleNamespace(gpio=SimpleNamespace(on_output=None))
        self.sleeping, self.on_sleep = False, None
        self.seconds = 0.0

    def cycles(self):
        return 64e6 * self.seconds


def test_time_never_runs_ahead_while_a_board_wakes_up(clock):
    """The machine adds the time that it slept, and then says that it is awake: a monitor may ask in between."""
    machine = Machine()
    activity = BoardActivity(SimpleNamespace(machine=machine), NRF52840, 0)
    activity.begin()
    machine.seconds = 1.0
    machine.on_sleep(clock.now)
    clock.now += 0.25
    assert activity.now() == pytest.approx(1.25)
    machine.seconds += 0.25
    assert activity.now() == pytest.approx(1.25)
    machine.on_sleep(None)
    machine.seconds += 0.5
    assert activity.now() == pytest.approx(1.75)
    assert [(segment.start_s, segment.current_a) for segment in activity.segments(2.0)] == [
        (0.0, NRF52840.running_a),
        (pytest.approx(1.0), NRF52840.sleeping_a),
        (pytest.approx(1.25), NRF52840.running_a),
    ]
