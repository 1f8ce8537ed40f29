"""Every metric against scikit-learn and scipy, and what each refuses."""

from __future__ import annotations

import numpy as np
import pytest
import sklearn.metrics as sk

from harness.metrics.base import Targets
from harness.metrics.registry import METRICS, task_metric

RNG = np.random.default_rng(7)
COUNT = 300
LABELS = RNG.integers(0, 4, COUNT)
#: Outputs of classes; few distinct values, as those of integers, so that there are ties.
OUTPUTS = np.rint(4 * (np.eye(4)[LABELS] + RNG.normal(0, 0.7, (COUNT, 4)))) / 4
YES = RNG.integers(0, 2, COUNT)
SCORES = np.clip(np.rint(20 * (0.3 * YES + 0.35 + RNG.normal(0, 0.2, COUNT))) / 20, 0, 1)
WANTED = RNG.normal(3, 2, (COUNT, 2))
VALUES = WANTED + RNG.normal(0, 1, (COUNT, 2)) * [1, 2]
TAGS = (RNG.random((COUNT, 3)) < [0.2, 0.5, 0.8]).astype(np.int64)
MARKS = np.clip(np.rint(10 * (0.3 * TAGS + 0.35 + RNG.normal(0, 0.2, (COUNT, 3)))) / 10, 0, 1)
FILES = np.arange(COUNT) // 10
#: Every file has inputs of one kind.
FILED = (FILES % 3 == 0).astype(np.int64)
CLIPS = RNG.normal(size=(COUNT, 4, 2)).astype(np.float32)
COPIES = CLIPS.reshape(COUNT, -1) + RNG.normal(size=(COUNT, 8)) * (0.5 + 0.3 * FILED[:, None])


def means(values):
    return [values[each == FILES].mean() for each in np.unique(FILES)]


def file_errors(power):
    return means((np.abs(COPIES - CLIPS.reshape(COUNT, -1)) ** power).mean(axis=1))


FILE_TRUTH = means(FILED)

#: Metric, its parameters, outputs, targets, and the value by scikit-learn or by numpy.
WITNESSES = [
    ("top1", {}, OUTPUTS, Targets(LABELS), sk.accuracy_score(LABELS, OUTPUTS.argmax(1))),
    ("topk", {"k": 1}, OUTPUTS, Targets(LABELS), sk.accuracy_score(LABELS, OUTPUTS.argmax(1))),
    ("topk", {"k": 2}, OUTPUTS + np.arange(4) * -1e-9, Targets(LABELS),
     sk.top_k_accuracy_score(LABELS, OUTPUTS + np.arange(4) * -1e-9, k=2)),
    ("balanced_accuracy", {}, OUTPUTS, Targets(LABELS), sk.balanced_accuracy_score(LABELS, OUTPUTS.argmax(1))),
    ("macro_f1", {}, OUTPUTS, Targets(LABELS), sk.f1_score(LABELS, OUTPUTS.argmax(1), average="macro")),
    ("macro_f1", {}, OUTPUTS, Targets(LABELS % 3), sk.f1_score(LABELS % 3, OUTPUTS.argmax(1), average="macro")),
    ("agreement", {}, OUTPUTS, Targets(None, reference=np.roll(OUTPUTS, 1, 0)),
     np.mean(OUTPUTS.argmax(1) == np.roll(OUTPUTS, 1, 0).argmax(1))),
    ("agreement", {}, OUTPUTS, Targets(None, reference=LABELS), np.mean(OUTPUTS.argmax(1) == LABELS)),
    ("binary", {"threshold": 0.6}, SCORES, Targets(YES), sk.accuracy_score(YES, SCORES >= 0.6)),
    ("binary", {"threshold": {"choose": "f1", "first": 100}}, SCORES, Targets(YES), None),
    ("false_accepts", {"threshold": 0.6}, SCORES, Targets(YES, seconds=2.0),
     sk.confusion_matrix(YES, SCORES >= 0.6)[0, 1] / (np.sum(YES == 0) * 2 / 3600)),
    ("roc_auc", {}, SCORES, Targets(YES), sk.roc_auc_score(YES, SCORES)),
    ("roc_auc", {}, np.stack([1 - SCORES, SCORES], 1), Targets(YES), sk.roc_auc_score(YES, SCORES)),
    ("roc_auc", {}, OUTPUTS[:, :2], Targets(YES), sk.roc_auc_score(YES, OUTPUTS[:, 1] - OUTPUTS[:, 0])),
    ("roc_auc", {"positive": 2}, OUTPUTS, Targets(LABELS), sk.roc_auc_score(LABELS == 2, OUTPUTS[:, 2])),
    ("roc_auc", {}, SCORES, Targets(FILED, groups=FILES), sk.roc_auc_score(FILE_TRUTH, means(SCORES))),
    ("pauc", {}, SCORES, Targets(YES), sk.roc_auc_score(YES, SCORES, max_fpr=0.1)),
    ("pauc", {"max_fpr": 0.37}, SCORES, Targets(YES), sk.roc_auc_score(YES, SCORES, max_fpr=0.37)),
    ("average_precision", {}, SCORES, Targets(YES), sk.average_precision_score(YES, SCORES)),
    ("reconstruction", {}, COPIES, Targets(FILED, groups=FILES), sk.roc_auc_score(FILE_TRUTH, file_errors(2))),
    ("reconstruction", {"error": "mae", "max_fpr": 0.2}, COPIES, Targets(FILED, groups=FILES),
     sk.roc_auc_score(FILE_TRUTH, file_errors(1), max_fpr=0.2)),
    ("mae", {}, VALUES, Targets(WANTED), sk.mean_absolute_error(WANTED, VALUES)),
    ("rmse", {}, VALUES, Targets(WANTED), sk.root_mean_squared_error(WANTED, VALUES)),
    ("r2", {}, VALUES, Targets(WANTED), sk.r2_score(WANTED, VALUES)),
    ("r2", {}, VALUES[:, 0], Targets(WANTED[:, 0]), sk.r2_score(WANTED[:, 0], VALUES[:, 0])),
    ("multilabel_ap", {}, MARKS, Targets(TAGS), sk.average_precision_score(TAGS, MARKS, average="macro")),
    ("hamming", {}, MARKS, Targets(TAGS), sk.hamming_loss(TAGS, MARKS >= 0.5)),
    ("hamming", {"threshold": 0.45}, MARKS, Targets(TAGS, groups=FILES), sk.hamming_loss(TAGS, MARKS >= 0.45)),
    ("top1", {}, OUTPUTS, Targets(LABELS, groups=FILES), sk.accuracy_score(LABELS, OUTPUTS.argmax(1))),
    ("sklearn.metrics:mean_squared_error", {"more_is_better": False}, WANTED, Targets(VALUES),
     sk.mean_squared_error(VALUES, WANTED)),
]  # fmt: skip


def reading(name, parameters, outputs, targets):
    """Return a metric and what it reads of outputs, as a run does it."""
    metric = task_metric(name, **parameters)
    outputs = outputs.reshape(len(outputs), -1)
    metric.check(targets, outputs.shape[1])
    return metric, metric.read(outputs, CLIPS)


@pytest.mark.parametrize(("name", "parameters", "outputs", "targets", "expected"), WITNESSES)
def test_scores_are_those_of_scikit_learn(name, parameters, outputs, targets, expected):
    metric, read = reading(name, parameters, outputs, targets)
    found = metric.score(read, targets)
    if expected is not None:
        assert found.value == pytest.approx(expected, rel=1e-12, abs=1e-12)
    assert found.low < found.value < found.high
    assert found == metric.score(read, targets)
    assert (read.shape[0], read.dtype) == (COUNT, np.float64)


@pytest.mark.parametrize(("name", "parameters", "outputs", "targets", "expected"), WITNESSES)
def test_differences_are_those_of_the_scores_and_turn_around(name, parameters, outputs, targets, expected):
    metric, b = reading(name, parameters, outputs, targets)
    noise = np.random.default_rng(3).normal(0, 0.8, outputs.shape)
    a = metric.read((outputs + noise).reshape(COUNT, -1), CLIPS)
    change = metric.score(b, targets).value - metric.score(a, targets).value
    there = metric.compare(a, b, targets, level=0.9, rng=np.random.default_rng(1))
    back = metric.compare(b, a, targets, level=0.9, rng=np.random.default_rng(1))
    assert there.change == pytest.approx(change, rel=1e-9, abs=1e-12)
    assert (there.low, there.high, there.p_value) == pytest.approx((-back.high, -back.low, back.p_value), rel=1e-6)
    assert there.low < there.change < there.high
    same = metric.compare(b, b, targets, level=0.9, rng=np.random.default_rng(1))
    assert (same.change, same.p_value) == (0, 1)
    assert same.low <= 0 <= same.high


def test_every_metric_has_a_witness():
    assert {name for name, *_ in WITNESSES} - {"sklearn.metrics:mean_squared_error"} == set(METRICS) - {"none"}
