"""Intervals cover, and paired tests raise false alarms, at the rates that they state: every metric by simulation."""

from __future__ import annotations

import numpy as np
import pytest

from harness.metrics.base import Targets
from harness.metrics.registry import task_metric

EXPERIMENTS = 200
#: Of 200 experiments at a true rate of 5 %, more than this happens once in a thousand.
MOST = 21
#: Outputs of the population are this many times a suite's.
MANY = 200


def classes(count, of_each, share, random, times):
    """Return the answers of two models that are right on `share` of the inputs of each class."""
    labels = np.repeat(np.arange(count), of_each * times)
    wrong = pairs(random.random, labels.shape, random) > share
    other = (labels + random.integers(1, count, (2, len(labels)))) % count
    return np.eye(count)[np.where(wrong, other, labels)], Targets(labels)


def scores(positive, others, distance, random, times):
    """Return the scores of two models; those of positive inputs are higher, in a few steps."""
    truth = np.repeat([1, 0], [positive * times, others * times])
    return np.rint(8 * (distance * truth + blend(random.standard_normal, truth.shape)))[..., None], Targets(
        truth, seconds=36.0
    )


def values(count, noise, random, times):
    """Return the values of two models, and what was wanted."""
    wanted = 2 * random.standard_normal(count * times)
    draw = {"normal": random.standard_normal, "skewed": random.standard_exponential}[noise]
    return (wanted + blend(draw, wanted.shape))[..., None], Targets(wanted)


def several(count, share, distance, random, times):
    """Return the outputs of two models for four labels."""
    labels = (random.random((count * times, 4)) < share).astype(np.int64)
    labels[:4] |= np.eye(4, dtype=np.int64)
    outputs = 0.5 + 0.2 * (distance * (labels - 0.5) + blend(random.standard_normal, labels.shape))
    return outputs, Targets(labels)


def files(count, of_each, random, times):
    """Return the answers of two models that find some files harder than others: on average 4 of 5 inputs are right."""
    groups = np.repeat(np.arange(count * times), of_each)
    right = pairs(random.random, groups.shape, random) < random.beta(8, 2, count * times)[groups]
    return np.stack([right, ~right], axis=-1).astype(float), Targets(np.zeros(len(groups), np.int64), groups=groups)


def pairs(draw, shape, random):
    """Return random numbers for two models, which are the same for half of the inputs."""
    one, two = draw(shape), draw(shape)
    return np.stack([one, np.where(random.random(shape) < 0.5, one, two)])


def blend(draw, shape):
    """Return random numbers for two models, correlated by a half."""
    same = draw(shape)
    return np.stack([(same + draw(shape)) / np.sqrt(2) for _ in range(2)])


CASES = {
    "balanced_accuracy": ("balanced_accuracy", {}, classes, (4, 10, 0.9)),
    "balanced_accuracy, nearly perfect": ("balanced_accuracy", {}, classes, (5, 20, 0.98)),
    "macro_f1": ("macro_f1", {}, classes, (4, 10, 0.9)),
    "topk": ("topk", {"k": 2}, classes, (4, 25, 0.8)),
    "binary": ("binary", {"threshold": 8}, scores, (40, 40, 2)),
    "false_accepts": ("false_accepts", {"threshold": 14}, scores, (20, 100, 2)),
    "roc_auc": ("roc_auc", {}, scores, (20, 40, 2)),
    "roc_auc, nearly perfect": ("roc_auc", {}, scores, (20, 40, 3.5)),
    "roc_auc, few positives": ("roc_auc", {}, scores, (6, 150, 1)),
    "pauc": ("pauc", {}, scores, (30, 40, 2)),
    "average_precision": ("average_precision", {}, scores, (30, 40, 2)),
    "average_precision, nearly perfect": ("average_precision", {}, scores, (30, 30, 4)),
    "mae": ("mae", {}, values, (40, "normal")),
    "mae, skewed": ("mae", {}, values, (80, "skewed")),
    "rmse": ("rmse", {}, values, (40, "normal")),
    "rmse, skewed": ("rmse", {}, values, (80, "skewed")),
    "r2": ("r2", {}, values, (40, "normal")),
    "multilabel_ap": ("multilabel_ap", {}, several, (60, 0.3, 2)),
    "hamming": ("hamming", {}, several, (40, 0.3, 3)),
    "files": ("top1", {}, files, (15, 10)),
    "own": ("numpy:vdot", {}, values, (100, "normal")),
}


def rates(name, parameters, make, shape, seed=5, resamples=200):
    """Return how many intervals of scores miss the truth, and how many differences of nothing are called."""
    metric, random = task_metric(name, **parameters), np.random.default_rng(seed)
    object.__setattr__(metric, "resamples", resamples)
    population, targets = make(*shape, random, MANY)
    truth = np.mean([value(metric, metric.read(side, None), targets) for side in population])
    if name == "numpy:vdot":  # a sum, not a mean
        truth /= MANY
    missed = alarms = 0
    for _ in range(EXPERIMENTS):
        outputs, targets = make(*shape, random, 1)
        a, b = (metric.read(side, None) for side in outputs)
        score = metric.score(a, targets)
        missed += not score.low <= truth <= score.high
        alarms += metric.compare(a, b, targets, level=0.95, rng=random).p_value < 0.05
    return missed, alarms


def value(metric, read, targets):
    """Return a metric's value; without drawing as many inputs as a population has, where that can be."""
    if hasattr(metric, "statistic") and not hasattr(metric, "settled"):
        return float(metric.statistic(read, targets)(np.ones((1, len(read))))[0])
    return metric.score(read, targets).value


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_intervals_cover_and_tests_raise_few_false_alarms(case):
    missed, alarms = rates(*CASES[case])
    assert missed <= MOST
    assert alarms <= MOST
