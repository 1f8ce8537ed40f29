"""What the attempts at a case say about the boards that made them, and what they don't."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from fakes.made_trials import START, Night, record
from harness.config import Lab
from harness.errors import HilError
from harness.health.trial import layer_of, says_something, shown, trials_of
from harness.store import Run
from harness.store.attempts import attempts_of

CASE = {
    "run": "night",
    "case": 0,
    "device": "a",
    "status": "complete",
    "ticks_median": 445015.0,
    "clock_hz": 64_000_000,
}


def attempt(device="a", minute=0, error=None, outcome=None, **fields):
    """A row of the attempts table."""
    made = {
        "run": "night",
        "case": 0,
        "device": device,
        "board": "nano33",
        "backend": "virtual",
        "host": "lab-1",
        "suite": "s",
        "variant": "int8",
        "board_uid": None,
        "image_sha256": "ab",
        "stage": "measure",
        "outcome": outcome or ("failed" if error else "ok"),
        "error": error,
        "reason": error and "gone\x1b[2J\n again",
        "retransmissions": 2,
        "seconds": 1.5,
        "ended": START + timedelta(minutes=minute),
    }
    return made | fields


def test_the_attempts_of_a_board_at_a_case_are_one_trial_with_the_cases_figures():
    rows = [attempt(minute=1, board_uid="AB"), attempt(error="LinkError")]
    (trial,) = trials_of(rows, [{**CASE, "counter": "instructions", "inputs_sha256": "cd", "harness_version": "1"}])
    assert (trial.outcome, trial.error, trial.reason, trial.attempts) == ("ok", None, None, 2)
    assert (trial.device, trial.kind, trial.backend, trial.host) == ("a", "nano33", "virtual", "lab-1")
    assert (trial.ticks_median, trial.counter, trial.clock_hz) == (445015.0, "instructions", 64_000_000)
    assert (trial.retransmissions, trial.duration_s, trial.board_uid, trial.image_sha256) == (4, 3.0, "AB", "ab")
    assert (trial.when, trial.reference) == (START + timedelta(minutes=1), "night#0")


@pytest.mark.parametrize("name", ["LinkError", "BoardResetError", "BoardFaultError", "FlashError", "EmulatorError"])
def test_an_error_of_the_infrastructure_is_a_failure(name):
    (trial,) = trials_of([attempt(error=name, minute=minute) for minute in range(3)], [{**CASE, "status": "failed"}])
    assert (trial.outcome, trial.error, trial.attempts) == ("failed", name, 3)
    assert trial.reason == "gone\\x1b[2J again"


def test_a_board_that_answered_nonsense_was_reached():
    (trial,) = trials_of([attempt(error="MeasurementError")], [{**CASE, "status": "failed"}])
    assert (trial.ok, trial.error) == (True, None)


@pytest.mark.parametrize(
    "error",
    [
        *("BusyError", "ReservedError", "FarmError", "LeaseLostError", "QuarantinedError", "GivenUpError"),
        *("ConfigError", "ImageError", "PowerError", "StoreError", "KeyboardInterrupt", "MemoryError"),
    ],
)
def test_what_is_nobodys_fault_says_nothing(error):
    assert trials_of([attempt(error=error)], [{**CASE, "status": "failed"}]) == []


def test_a_board_that_was_taken_away_says_nothing_whatever_it_did_before():
    rows = [attempt(error="LinkError"), attempt(error="LinkError", outcome="lost", minute=1)]
    assert trials_of(rows, [{**CASE, "status": "failed"}]) == []


def test_each_board_of_a_case_has_its_own_trial_and_only_the_last_one_the_cases_figures():
    rows = [attempt("b", error="LinkError"), attempt("a", minute=1)]
    first, second = trials_of(rows, [CASE])
    assert (first.device, first.ok, first.ticks_median, first.clock_hz) == ("b", False, None, None)
    assert (second.device, second.ok, second.ticks_median) == ("a", True, 445015.0)


def test_a_board_that_could_not_be_opened_ran_no_image():
    (trial,) = trials_of([attempt(error="LinkError", stage="open")], [])
    assert (trial.image_sha256, trial.retransmissions) == (None, None)


def test_while_a_board_may_try_again_its_failure_does_not_count():
    going = {**CASE, "status": None}
    failed = [attempt(error="LinkError"), attempt(error="LinkError", minute=1)]
    assert trials_of(failed, [going]) == []
    assert len(trials_of(failed, [])) == len(trials_of(failed, [{**going, "status": "failed"}])) == 1
    assert [trial.device for trial in trials_of([*failed, attempt("b", error="LinkError", minute=2)], [going])] == ["a"]
    later = attempt(error="LinkError", minute=2, case=1)
    assert [trial.case for trial in trials_of([*failed, later], [going, {**going, "case": 1}])] == [0]
    assert [trial.ok for trial in trials_of([*failed, attempt(minute=2)], [going])] == [True]


def test_what_a_run_writes_gives_the_trials_back(tmp_path):
    night = Night()
    made = [
        night("a", attempts=3, retransmissions=1, suite="s", variant="v"),
        night("b", "x", "LinkError", board_uid="AB"),
    ]
    with Run.create(tmp_path, {"harness_version": "0.1.0"}) as run:
        for number, trial in enumerate(made):
            record(run, trial, number)
    first, second = trials_of(attempts_of(run.path), [])
    own = {"run": run.path.name, "suite": "s", "variant": "v", "duration_s": 0.0}
    assert first == replace(made[0], case=0, **own)
    assert second == replace(made[1], case=1, retransmissions=0, **own)


def test_every_layer_is_told_by_the_errors_class():
    assert [layer_of(name) for name in ("BoardResetError", "LockedError", "FlashError")] == ["link", "probe", "flash"]
    assert [layer_of(name) for name in ("BoardFaultError", "annotations", "NoSuchError", None)] == ["other"] * 4
    assert layer_of(HilError.__name__) == "other"


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
