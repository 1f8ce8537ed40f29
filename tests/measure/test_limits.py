from __future__ import annotations

from harness.config import Limit
from harness.measure.limits import check_limits

ROW = {
    "backend": "virtual",
    "counter": "instructions",
    "samples": 20,
    "accuracy": 0.8,
    "accuracy_low": 0.584,
    "accuracy_high": 0.919,
    "ticks_median": 100_001.0,
    "flash_bytes": 5000,
    "latency_us_median": None,
}


def check(**limits):
    return check_limits(limits, ROW)


def test_within_the_limits_and_on_them():
    result = check(accuracy=Limit(min=0.8, max=0.8), flash_bytes=Limit(max=5000))
    assert result.exceeded == result.unchecked == ()


def test_what_is_exceeded_is_one_line_each():
    result = check(
        accuracy=Limit(min=0.85), flash_bytes=Limit(max=4096), ticks_median=Limit(max=100_000, counter="instructions")
    )
    assert result.exceeded == (
        "accuracy is 0.8, under the limit of 0.85 (20 samples; 95 % interval 0.5840 to 0.9190)",
        "flash_bytes is 5,000 bytes, over the limit of 4,096",
        "ticks_median is 100,001 instructions, over the limit of 100,000",
    )


def test_instructions_are_not_held_against_a_limit_in_cycles():
    result = check(ticks_median=Limit(max=1, counter="cycles"))
    assert result.exceeded == ()
    assert result.unchecked == ("limit on ticks_median is in cycles, but virtual counts instructions",)


def test_what_was_not_measured_is_said():
    assert check(latency_us_median=Limit(max=1)).unchecked == ("limit on latency_us_median: not measured on virtual",)
