from __future__ import annotations

import pytest

from harness.report import numbers


def minus(text):
    """Return a text with a true minus for each ~: the two look too much alike to be read in code."""
    return text.replace("~", numbers.MINUS)


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (999, "999"), (1500, "1.5 k"), (2_609_482, "2.61 M"), (-1500, "~1.5 k"), (4e9, "4 G")]
)
def test_short_numbers_for_axes(value, text):
    assert numbers.short(value) == minus(text)


@pytest.mark.parametrize(
    ("size", "text"), [(1023, "1,023 B"), (4340, "4.24 KiB"), (36352, "35.5 KiB"), (262144, "256 KiB")]
)
def test_sizes_have_three_digits(size, text):
    assert numbers.kib(size) == text


@pytest.mark.parametrize(
    ("ratio", "text"),
    [(1, "0 %"), (0.6559, "~34.4 %"), (1.0003, "+0.03 %"), (0.9999999, "<0.01 %"), (1.0000001, "<0.01 %")],
)
def test_changes_have_a_true_minus_and_no_digits_that_say_nothing(ratio, text):
    assert numbers.change(ratio) == minus(text)


def test_zero_has_no_sign():
    assert numbers.signed(-0.04) == "0.0"
    assert numbers.signed(0.05, 2) == "+0.05"


def test_a_span_shows_that_its_ends_differ():
    assert numbers.span(-1.5, 2) == minus("~1.5 to +2.0")
    assert numbers.span(-26.82, -26.81) == minus("~26.82 to ~26.81")


def test_an_accuracy_has_no_more_decimals_than_its_samples_tell_apart():
    assert numbers.percent(0.92441, 1000) == "92.4 %"
    assert numbers.percent(0.92441, 10_000) == "92.44 %"


def test_a_median_between_two_whole_numbers_keeps_its_half():
    assert numbers.count(448_215.5) == "448,215.5"
    assert numbers.count(448_215.0) == "448,215"
