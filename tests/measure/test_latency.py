from __future__ import annotations

import pytest

from harness.errors import MeasurementError
from harness.measure.latency import counter_columns, summarize


def test_median_and_nearest_rank():
    summary = summarize(list(range(100, 0, -1)))
    assert (summary.median, summary.p95, summary.min, summary.max) == (50.5, 95, 1, 100)


@pytest.mark.parametrize(("count", "p95"), [(1, 1), (19, 19), (20, 19), (21, 20), (1000, 950)])
def test_p95_is_an_observed_value_that_95_percent_do_not_exceed(count, p95):
    assert summarize(list(range(1, count + 1))).p95 == p95


def test_large_counts_keep_every_tick():
    assert summarize([2**32 - 1, 2**32 - 1]).median == 2**32 - 1


@pytest.mark.parametrize("ticks", [[], [0, 5], [1.5], [[1, 2]]])
def test_what_is_no_measurement(ticks):
    with pytest.raises(MeasurementError):
        summarize(ticks)


def test_cycles_become_time():
    columns = counter_columns(summarize([64_000, 128_000]), "cycles", 64_000_000)
    assert columns["latency_us_median"] == 1500.0
    assert columns["latency_us_max"] == 2000.0
    assert "latency_reason" not in columns
    with pytest.raises(MeasurementError):
        counter_columns(summarize([1]), "cycles", 0)


def test_instructions_never_become_time():
    columns = counter_columns(summarize([64_000]), "instructions", 64_000_000)
    assert not [name for name in columns if name.startswith("latency_us")]
    assert columns["latency_reason"]
    assert columns["ticks_median"] == 64_000
