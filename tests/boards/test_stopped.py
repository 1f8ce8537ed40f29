"""What is said of firmware that doesn't answer, by a clock of the test's own."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from pyocd.core.target import Target

from harness.boards import stopped
from harness.boards.stopped import why_stopped


class Core:
    """A core that runs for so many looks of the debugger, and then sleeps; the first look takes so long."""

    def __init__(self, clock, looks, seconds):
        self._clock, self._looks, self._seconds = clock, looks, seconds

    def get_state(self):
        self._clock.now += self._seconds
        self._seconds = 0.0
        self._looks -= 1
        return Target.State.RUNNING if self._looks >= 0 else Target.State.SLEEPING

    def is_halted(self):
        return True

    def read_core_register(self, name):
        return {"xpsr": 0x01000000, "pc": 0x10234}[name]


@pytest.fixture
def ask(monkeypatch):
    clock = SimpleNamespace(now=0.0)

    def sleep(seconds):
        clock.now += seconds

    monkeypatch.setattr(stopped, "time", SimpleNamespace(monotonic=lambda: clock.now, sleep=sleep))
    return lambda looks, seconds: why_stopped(Core(clock, looks, seconds), None, lambda *_: b"")


@pytest.mark.parametrize("seconds", [0.0, 3.0])
def test_firmware_that_is_about_to_sleep_is_not_called_running_by_a_computer_that_was_late(ask, seconds):
    assert ask(3, seconds) is None


@pytest.mark.parametrize("seconds", [0.0, 3.0])
def test_firmware_that_goes_on_running_is_said_to(ask, seconds):
    assert ask(10_000, seconds) == "the firmware is running at PC 0x00010234"
