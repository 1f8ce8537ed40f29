from __future__ import annotations

from dataclasses import replace

import pytest

from harness.metrics.estimate import quantile
from harness.report import decide
from harness.report.decide import Family
from harness.report.evidence import Evidence
from harness.report.frame import Row
from harness.report.metrics import METRICS


def finding(change, low, high, *, metric="latency", real=True, exact=False, margin=0.01, samples=100, flips=None):
    about = METRICS[metric]
    row = Row(None, None, metric, about.unit, about.scale, exact, margin, "can't tell", "", samples, change=change)
    row = replace(row, low=low, high=high, family_low=low, family_high=high)
    return row, Evidence(about.unit, flips=flips), real


def judge(found):
    row, evidence, real = found
    return decide.judge(row, evidence, Family(1, 0.95), 0.95, real=real)


def samples_needed(found):
    row, evidence, _ = found
    return decide.samples_needed(row, evidence, Family(1, 0.95), 0.95)


@pytest.mark.parametrize(
    ("change", "low", "high", "real", "verdict"),
    [
        (1.02, 1.015, 1.025, True, "worse"),
        (0.98, 0.975, 0.985, True, "better"),
        (1.009, 1.007, 1.011, True, "worse"),  # may be as large as the margin
        (1.005, 1.001, 1.009, True, "same"),  # real, but shown to be smaller than the margin
        (1.0, 0.995, 1.005, False, "same"),
        (1.005, 0.995, 1.015, False, "can't tell"),
        (1.02, 1.001, 1.04, False, "can't tell"),  # many at once
    ],
)
def test_verdicts_of_ratios(change, low, high, real, verdict):
    found, reason, needed = judge(finding(change, low, high, real=real))
    assert found == verdict
    assert reason.startswith(verdict)
    assert (needed is not None) == (verdict == "can't tell")


def test_more_accuracy_is_better():
    assert judge(finding(0.02, 0.01, 0.03, metric="accuracy", margin=0.005))[0] == "better"
    assert judge(finding(-0.02, -0.03, -0.01, metric="accuracy", margin=0.005))[0] == "worse"


@pytest.mark.parametrize(("change", "verdict"), [(0, "same"), (15, "same"), (16, "worse"), (-16, "better")])
def test_exact_sizes(change, verdict):
    assert judge(finding(change, change, change, metric="flash", margin=16, exact=True))[0] == verdict


def test_reasons_are_sentences():
    assert judge(finding(1.02, 1.015, 1.025))[1] == "worse: +2.00 % (95 % interval +1.50 to +2.50 %)"
    assert judge(finding(4, 4, 4, metric="flash", margin=0, exact=True))[1] == "worse: +4 bytes"
    accuracy = finding(-0.02, -0.03, -0.01, metric="accuracy", margin=0.005)
    assert judge(accuracy)[1] == "worse: -2.00 points (95 % interval -3.00 to -1.00 points)"


def test_samples_needed_for_a_ratio():
    # Half the interval is 4 %, the change 2 %: twice as narrow, and a bit for a chance of four in five.
    needed = samples_needed(finding(1.02, 0.98, 1.06, real=False))
    assert needed == pytest.approx(100 * (2 * (1 + 0.8416 / 1.96)) ** 2, rel=0.01)


def test_samples_needed_when_nothing_flips():
    # The interval is +- z^2 / (n + z^2), here for a chance of four in five.
    z2 = (quantile(0.95) + 0.8416) ** 2
    same = finding(0.0, -0.037, 0.037, metric="accuracy", real=False, margin=0.005, flips=(0, 0))
    assert samples_needed(same) == pytest.approx(z2 / 0.005 - z2, rel=0.02)


def test_samples_needed_when_some_flip():
    # McNemar's normal approximation: n = z^2 (discordant - change^2) / change^2.
    some = finding(0.02, -0.02, 0.06, metric="accuracy", real=False, margin=0.005, flips=(4, 2))
    z2 = (quantile(0.95) + 0.8416) ** 2
    assert samples_needed(some) == pytest.approx(z2 * (0.06 - 0.0004) / 0.0004, rel=0.1)


def test_no_number_of_samples_tells_equal_sides_apart_without_a_margin():
    assert samples_needed(finding(0.0, -0.04, 0.04, metric="accuracy", real=False, margin=0.0, flips=(3, 3))) is None
    assert samples_needed(finding(1.0, 0.9, 1.1, real=False, margin=0.0)) is None
