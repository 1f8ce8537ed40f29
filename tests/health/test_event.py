"""What a case says about its board, and what it doesn't."""

from __future__ import annotations

import pytest

from fakes.made_events import START, Night
from harness import errors
from harness.config import Lab
from harness.errors import HilError
from harness.health.event import as_line, checked_name, event_of, from_line, layer_of, says_something, shown
from harness.store import Run


@pytest.fixture
def row(tmp_path):
    """The rows of real cases, as a run records them."""

    def row(status="complete", reason=None, **columns):
        with Run.create(tmp_path, {"harness_version": "0.1.0"}) as run:
            record = run.begin_case(device="bench-1", board="nano33", backend="virtual", suite="s", variant="v")
            record.sample(sample=0, label=1, prediction=1, ticks=7, output_crc=1)
            return record.finish(status=status, reason=reason, image_sha256="ab", retransmissions=3, **columns)

    return row


def test_a_complete_case_is_a_success_with_its_figures(row):
    event = event_of(row(ticks_median=445015.0, clock_hz=64_000_000), None, host="rack", when=START)
    assert (event.outcome, event.error, event.reason) == ("ok", None, None)
    assert (event.device, event.kind, event.backend, event.host) == ("bench-1", "nano33", "virtual", "rack")
    assert (event.ticks_median, event.counter, event.clock_hz) == (445015.0, "instructions", 64_000_000)
    assert (event.retransmissions, event.attempts, event.case) == (3, 1, 0)
    assert event.reference == f"{event.run}#0"


@pytest.mark.parametrize("name", ["LinkError", "BoardResetError", "BoardFaultError", "FlashError", "EmulatorError"])
def test_an_error_of_the_infrastructure_is_a_failure(row, name):
    error = getattr(errors, name)("gone\x1b[2J\n again")
    event = event_of(row("failed", "gone", attempts=3), error, host="rack", when=START)
    assert (event.outcome, event.error, event.attempts, event.ticks_median) == ("failed", name, 3, None)
    assert event.reason == "gone\\x1b[2J again"


def test_a_board_that_answered_nonsense_was_reached(row):
    event = event_of(row("failed", "NaN"), errors.MeasurementError("NaN"), host="rack", when=START)
    assert event.ok


@pytest.mark.parametrize(
    "error",
    [
        errors.BusyError("x"),
        errors.ReservedError("x"),
        errors.LeaseLostError("x"),
        errors.QuarantinedError("x"),
        errors.GivenUpError("x"),
        errors.ConfigError("x"),
        errors.ImageError("x"),
        errors.PowerError("x"),
        errors.StoreError("x"),
        KeyboardInterrupt(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_says_nothing_about_the_board_is_no_event(row, error):
    assert event_of(row("failed", "x"), error, host="rack", when=START) is None


def test_a_skipped_case_is_no_event(row):
    assert event_of(row("skipped", "x"), None, host="rack", when=START) is None


def test_lines_give_back_the_event():
    event = Night()("bench-1", "int8", "LinkError", ticks_median=7.5, clock_hz=64_000_000)
    assert from_line(as_line(event)) == event
    assert from_line({**as_line(event), "of a later version": 1}) == event


@pytest.mark.parametrize(
    "change",
    [
        {"when": "yesterday"},
        {"when": "2026-03-01T22:00:00"},
        {"when": None},
        {"device": None},
        {"device": ["x"]},
        {"attempts": "3"},
        {"attempts": None},
        {"attempts": True},
        {"attempts": 10**400},
        {"duration_s": float("nan")},
        {"ticks_median": {}},
        {"outcome": "fine"},
    ],
)
def test_a_line_that_is_no_event_is_left_out(change):
    assert from_line({**as_line(Night()("bench-1")), **change}) is None


def test_every_layer_is_told_by_the_errors_class():
    def layer(name):
        return layer_of(name)

    assert [layer(name) for name in ("BoardResetError", "LockedError", "FlashError")] == ["link", "probe", "flash"]
    assert [layer(name) for name in ("BoardFaultError", "annotations", "NoSuchError", None)] == ["other"] * 4
    assert layer_of(HilError.__name__) == "other"


@pytest.mark.parametrize("name", ["", "..", ".x", "a/b", "a\\b", "a\n", "x" * 65, "-a", "\u00e9"])
def test_a_name_that_could_be_a_path_is_refused(name):
    with pytest.raises(errors.ConfigError, match="can't be the name of a file"):
        checked_name(name, "the device")


def test_a_reason_is_one_printable_line_of_300_characters():
    assert shown("a\n b\t\x00c") == "a b \\x00c"
    assert len(shown("x" * 1000)) == 300


def test_the_twin_of_a_real_board_says_nothing_about_the_board(tmp_path):
    (tmp_path / "devices.yaml").write_text(
        'devices:\n  real: {kind: nano33, probe: "1"}\n'
        "  twin: {kind: nano33, backend: virtual}\n  any: {kind: nano33}\n"
    )
    real, twin, either = Lab.load(tmp_path / "devices.yaml").devices
    assert [says_something(real, backend) for backend in ("hardware", "virtual")] == [True, False]
    assert [says_something(twin, backend) for backend in ("virtual", "renode")] == [True, False]
    assert says_something(either, "virtual")
    assert says_something(either, "renode")
