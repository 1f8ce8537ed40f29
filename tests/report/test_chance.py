from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from fakes.recorded_runs import Made, Setting, record_run
from harness.metrics.shares import binomial_tail
from harness.report.caveats import caveats
from harness.report.compare import compare_variants
from harness.report.content import compose
from harness.report.groups import grouped
from harness.report.page import render_markdown
from harness.report.pick import pick
from harness.report.remarks import guessing
from harness.report.summary import render
from harness.store import load_results
from harness.store.results import plain_rows

#: Both are right on a tenth of the inputs of ten classes, as coins are; one of them is smaller.
COINS = (
    Made("coin", "int8", None, 1.1, 1000, 1000, 9000),
    Made("penny", "int8", "coin", 1.08, 900, 1000, 8000),
)
MODEL = Made("model", "int8", "coin", 0.2, 2000, 2000, 9500)


def case(variant, correct, samples, share):
    return {"variant": variant, "accuracy": correct / samples, "samples": samples, "majority_share": share}


@pytest.mark.parametrize(
    ("successes", "trials", "share"), [(0, 5, 0.3), (4, 9, 0.1), (140, 1000, 0.125), (40, 40, 0.25)]
)
def test_the_tail_is_that_of_the_binomial_distribution(successes, trials, share):
    p = Fraction(share)
    exact = sum(math.comb(trials, k) * p**k * (1 - p) ** (trials - k) for k in range(successes, trials + 1))
    assert binomial_tail(successes, trials, share) == pytest.approx(float(exact), rel=1e-9)


def test_always_answering_one_class_is_guessing():
    assert guessing([case("constant", 44, 200, 0.22)])
    assert guessing([case("one class", 30, 30, 1.0)])  # all inputs are of it: 100 % says nothing
    assert not guessing([case("model", 60, 200, 0.22)])


def test_of_ten_variants_that_guess_one_passes_in_at_most_five_percent():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 10, 200)
    share = np.bincount(labels).max() / 200
    passed = 0
    for _ in range(400):
        answers = rng.integers(0, 10, (10, 200))
        rows = [case(str(at), int(np.sum(guess == labels)), 200, share) for at, guess in enumerate(answers)]
        passed += len(guessing(rows)) < 10
    assert passed <= 400 * 0.05


def everything(tmp_path, made):
    results = load_results(record_run(tmp_path, made, Setting(samples=200)))
    (group,) = grouped(results)
    return results, group


def test_no_coin_is_crowned(tmp_path):
    results, group = everything(tmp_path, COINS)
    said = "better than always answering the most frequent class of these labels (10.0 % right)"
    found = pick(results, group)
    assert (found.variant, found.sentence.startswith(f"No pick. No variant is shown to be {said}")) == (None, True)
    compared = compare_variants(results)
    (row,) = (row for row in compared.rows if row.metric == "accuracy")
    assert (row.verdict, row.reason) == ("can't tell", f"can't tell: neither is shown to be {said}")
    assert "Chance level" in [caveat.title for caveat in caveats(group, compared)]
    shown = " ".join(render(plain_rows(results.cases), width=100, color=False).split())
    assert f"No variant is shown to be {said}" in shown
    assert "No variant is shown to be better than" in render_markdown(compose(results))


def test_one_variant_at_chance_level_is_warned_of(tmp_path):
    results, _ = everything(tmp_path, COINS[:1])
    assert "coin is not shown to be better" in render(plain_rows(results.cases), width=200, color=False)


def test_a_model_among_coins_is_picked_however_dear_and_the_coins_are_named(tmp_path):
    results, group = everything(tmp_path, (*COINS, MODEL))
    assert pick(results, group).variant == "model"
    shown = render(plain_rows(results.cases), width=200, color=False)
    assert "coin, penny are not shown to be better" in shown


def test_runs_that_did_not_record_the_share_say_nothing(tmp_path):
    results, _ = everything(tmp_path, COINS)
    cases = results.cases.assign(majority_share=None)
    assert guessing(plain_rows(replace(results, cases=cases).cases)) == []
