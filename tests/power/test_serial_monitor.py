"""When a monitor that was told to stop has stopped, by a clock of the test's own."""

import itertools
from types import SimpleNamespace

import pytest

from harness.errors import PowerError
from harness.power import serial_monitor
from harness.power.serial_monitor import SerialMonitor


@pytest.fixture
def rest(monkeypatch):
    """What is taken after the end of a stream, from reads that each take so long and give so much."""
    now = [0.0]
    monkeypatch.setattr(serial_monitor, "time", SimpleNamespace(monotonic=lambda: now[0]))

    def rest(reads):
        left = iter(reads)

        def read(_monitor):
            spent_s, data = next(left)
            now[0] += spent_s
            return data

        monkeypatch.setattr(SerialMonitor, "_read", read)
        monitor = SerialMonitor("bench", "loop://", b"", 0.1)
        found = list(monitor._until_quiet())
        monitor.close()
        return found, now[0]

    return rest


NOTHING = (0.05, b"")


def test_a_tenth_of_a_second_without_bytes_is_the_end(rest):
    assert rest([(0.01, b"a"), NOTHING, (0.01, b"b"), NOTHING, NOTHING]) == ([b"a", b"b"], pytest.approx(0.17))


def test_a_computer_that_was_busy_is_not_taken_for_a_monitor_that_is_quiet(rest):
    assert rest([(2.0, b""), (0.5, b""), (0.01, b"late"), NOTHING, NOTHING])[0] == [b"late"]


def test_a_computer_that_is_always_busy_comes_to_an_end(rest):
    assert rest(itertools.repeat((1.1, b"")))[0] == []


def test_a_monitor_that_goes_on_sending_is_an_error(rest):
    with pytest.raises(PowerError, match="bench: it doesn't stop sending"):
        rest(itertools.repeat((0.01, b"more")))
