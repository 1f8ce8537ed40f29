"""Every metric against scikit-learn and scipy, and what each refuses."""

from __future__ import annotations

import dataclasses
import math
import time

import numpy as np
import pytest
import scipy.stats
import sklearn.metrics as sk

from harness.errors import ConfigError, MeasurementError
from harness.metrics.base import Targets
from harness.metrics.curves import confusion, recalls, residuals, roc
from harness.metrics.delong import components
from harness.metrics.estimate import student_p
from harness.metrics.registry import METRICS, task_metric
from harness.metrics.shares import mcnemar, poisson_interval

RNG = np.random.default_rng(7)
COUNT = 150
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
COPIES = CLIPS.reshape(COUNT, -1) + RNG.normal(size=(COUNT, 8)) * (0.6 + 0.1 * FILED[:, None])


def means(values):
    return np.bincount(FILES, values) / np.bincount(FILES)  # not np.mean, whose sums round otherwise: ties differ


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
    ("binary", {"threshold": {"choose": "f1", "first": 50}}, SCORES, Targets(YES), None),
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
    ("numpy:vdot", {}, WANTED, Targets(VALUES),
     np.vdot(WANTED, VALUES)),
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
    del expected
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
    assert {name for name, *_ in WITNESSES} - {"numpy:vdot"} == set(METRICS) - {"none"}


# ---- statistics


def test_delong_by_its_definition_over_all_pairs():
    other = np.rint(20 * (0.2 * YES + RNG.normal(0, 0.3, COUNT))) / 20
    sides = []
    for scores in (SCORES, other):
        positive, rest = scores[YES == 1], scores[YES == 0]
        wins = (positive[:, None] > rest) + 0.5 * (positive[:, None] == rest)
        sides.append((wins.mean(axis=1), wins.mean(axis=0)))
        for found, expected in zip(components(scores, YES == 1), sides[-1], strict=True):
            assert found == pytest.approx(expected, abs=1e-12)
    gains = [b - a for a, b in zip(*sides, strict=True)]
    change = gains[0].mean()
    # Welch's test of these two has the same value, variance and degrees of freedom.
    welch = scipy.stats.ttest_ind(gains[0], change - gains[1], equal_var=False)
    metric = task_metric("roc_auc")
    estimate = metric.compare(SCORES[:, None], other[:, None], Targets(YES), level=0.95, rng=RNG)
    assert estimate.p_value == pytest.approx(welch.pvalue, rel=0.02)
    ends = welch.confidence_interval()
    assert (estimate.low, estimate.high) == pytest.approx((ends.low, ends.high), rel=0.1)


@pytest.mark.parametrize("count", [0, 1, 7, 300, 20_000])
def test_garwoods_interval_is_that_of_chi_squared(count):
    low, high = poisson_interval(count, 0.95)
    assert low == pytest.approx(scipy.stats.chi2.ppf(0.025, 2 * count) / 2 if count else 0, rel=1e-9)
    assert high == pytest.approx(scipy.stats.chi2.ppf(0.975, 2 * count + 2) / 2, rel=1e-9)


@pytest.mark.parametrize(("gained", "lost"), [(1, 0), (3, 9), (40, 22)])
def test_mcnemar_is_scipys_binomial_test(gained, lost):
    assert mcnemar(gained, lost) == pytest.approx(scipy.stats.binomtest(gained, gained + lost).pvalue, rel=1e-12)


@pytest.mark.parametrize(("t", "freedom"), [(0.3, 1), (2.5, 4), (-1.7, 33)])
def test_students_p_value_is_scipys(t, freedom):
    assert student_p(t, freedom) == pytest.approx(2 * scipy.stats.t.sf(abs(t), freedom), rel=1e-9)


def test_a_perfect_score_is_uncertain_and_so_is_the_difference_of_two():
    truth = np.repeat([0, 1], [40, 20])
    read = (truth + 0.1 * np.arange(60) / 60)[:, None]
    for name in ("roc_auc", "pauc", "average_precision"):
        metric = task_metric(name)
        score = metric.score(read, Targets(truth))
        assert (score.value, score.high) == (1, 1)
        assert 0.8 < score.low < 0.99
        same = metric.compare(read, read[::-1] * 0 + truth[:, None], Targets(truth), level=0.95, rng=RNG)
        assert same.change == 0
        assert same.low < -0.01 < 0.01 < same.high


@pytest.mark.parametrize("name", ["macro_f1", "pauc", "rmse"])
def test_a_thousand_inputs_take_less_than_a_second(name):
    random = np.random.default_rng(1)
    labels = random.integers(0, 2, 1000)
    metric = task_metric(name)
    read = random.normal(size=(1000, 1)) if name != "macro_f1" else random.integers(0, 2, (1000, 1)).astype(float)
    begin = time.process_time()
    metric.score(read, Targets(labels))
    assert time.process_time() - begin < 1


def test_a_threshold_is_chosen_on_inputs_that_are_not_scored():
    truth, scores = np.array([0, 1, 0, 1, 1, 0, 1]), np.array([0.1, 0.8, 0.2, 0.9, 0.4, 0.3, 0.6])
    for choose in ("youden", "f1", "balanced"):
        metric, read = reading_of("binary", {"threshold": {"choose": choose, "first": 4}}, scores, truth)
        score = metric.score(read, Targets(truth))
        assert score.value == pytest.approx(2 / 3)
        assert score.words == "0.6667 (2 of 3 inputs); at 0.5 finds 1 of 2, false alarms 0 of 1"
        assert metric.predictions(read) is None
    metric, read = reading_of("binary", {"positive": 0, "threshold": 0.5}, scores, 1 - truth)
    assert metric.predictions(read).tolist() == [1, 0, 1, 0, 1, 1, 0]


def reading_of(name, parameters, outputs, labels, **known):
    metric = task_metric(name, **parameters)
    outputs = np.asarray(outputs, float).reshape(len(outputs), -1)
    metric.check(Targets(np.asarray(labels), **known), outputs.shape[1])
    return metric, metric.read(outputs, CLIPS)


def test_ties_rank_as_the_largest_output_does():
    outputs = np.array([[1.0, 1, 0], [1, 1, 1]])
    for k, right in ((1, 0), (2, 1)):
        metric, read = reading_of("topk", {"k": k}, outputs, [1, 1])
        assert metric.score(read, Targets(np.array([1, 1]))).value == right


def test_a_users_function_is_found_in_the_current_folder(tmp_path, monkeypatch):
    (tmp_path / "own_metrics.py").write_text(
        "import numpy as np\n"
        "def worst(outputs, labels): return np.abs(outputs[:, 0] - labels).max()\n"
        "def fussy(outputs, labels): return 1.0 if len(set(outputs[:, 0])) == len(outputs) else float('nan')\n"
        "def broken(outputs, labels): return outputs[7000]\n"
    )
    monkeypatch.chdir(tmp_path)
    targets, read = Targets(np.arange(9.0)), np.arange(9.0)[:, None] ** 1.5
    worst = task_metric("own_metrics:worst", more_is_better=False, title="worst error")
    assert worst.score(read, targets).value == pytest.approx(8**1.5 - 8)
    assert (worst.title, worst.more_is_better, str(worst)) == (
        "worst error", False, "own_metrics:worst(title=worst error, more_is_better=False)"
    )  # fmt: skip
    fussy = task_metric("own_metrics:fussy").score(read, targets)
    assert (fussy.value, fussy.low) == (1, None)
    assert "no interval: metric own_metrics:fussy gave nan on 9 inputs" in fussy.words
    with pytest.raises(MeasurementError, match=r"own_metrics:fussy gave nan on 9 inputs: no finite number"):
        task_metric("own_metrics:fussy").score(0 * read, targets)
    with pytest.raises(MeasurementError, match="own_metrics:broken failed on 9 inputs: IndexError"):
        task_metric("own_metrics:broken").score(read, targets)


# ---- what is refused


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("roc_auk", {}, 'no metric is called "roc_auk"; did you mean "roc_auc"?'),
        ("topk", {}, "metric topk needs k"),
        ("topk", {"k": 0}, "k is a whole number from 1, not 0"),
        ("topk", {"k": True}, "k is a whole number from 1, not True"),
        ("pauc", {"maxfpr": 0.1}, 'metric pauc has no parameter "maxfpr"; did you mean "max_fpr"?'),
        ("mae", {"k": 1}, 'metric mae has no parameter "k"; it has none'),
        ("pauc", {"max_fpr": 0}, "max_fpr is a share above 0, at most 1, not 0"),
        ("reconstruction", {"error": "rms"}, "error is mse or mae, not 'rms'"),
        ("reconstruction", {"max_fpr": 7}, "max_fpr is a share"),
        ("roc_auc", {"positive": "yess"}, 'no class is called "yess"; did you mean "yes"?'),
        ("roc_auc", {"positive": -1}, "positive is a class or its number, not -1"),
        ("binary", {"threshold": "high"}, "threshold is a number or"),
        ("binary", {"threshold": {"choose": "f1"}}, "has the keys choose and first"),
        ("binary", {"threshold": {"choose": "f2", "first": 9}}, "choose is one of youden, f1, balanced, not 'f2'"),
        ("binary", {"threshold": {"choose": "f1", "first": 1}}, "first is a number of inputs from 2, not 1"),
        ("hamming", {"threshold": None}, "threshold is a number, not None"),
        ("no_such_module:f", {}, 'module "no_such_module" can\'t be imported: ModuleNotFoundError'),
        ("math:no_such", {}, 'module "math" has no function "no_such"'),
        ("math:pi", {}, 'module "math" has no function "pi"'),
    ],
)
def test_wrong_names_and_parameters_are_refused(name, parameters, message):
    with pytest.raises(ConfigError) as caught:
        task_metric(name, classes=("no", "yes"), **parameters)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


NOT_CLASSES = np.array([0.0, 1, 0])


@pytest.mark.parametrize(
    ("name", "parameters", "labels", "outputs", "message"),
    [
        ("top1", {}, None, 3, "metric top1 needs labels"),
        ("top1", {}, NOT_CLASSES, 3, "needs one class for each input (whole numbers, [N]); the labels are float64 [3]"),
        ("top1", {}, TAGS, 3, "the labels are int64 [150, 3]"),
        ("top1", {}, [0, 3, 1], 3, "the label of input 1 is 3, but the model has 3 outputs"),
        ("top1", {}, [0, -1, 1], 3, "the label of input 1 is -1: classes are counted from 0"),
        ("top1", {}, [0, 1], 1, "for one output: binary, or roc_auc"),
        ("topk", {"k": 4}, [0, 1], 3, "k is 4, but the model has 3 outputs: it is always right"),
        ("topk", {"k": 3}, [0, 1], 3, "it is always right"),
        ("roc_auc", {}, [0, 0], 1, "metric roc_auc needs inputs of both kinds: no label is positive"),
        ("average_precision", {}, [1, 1], 1, "needs inputs of both kinds: every label is positive"),
        ("roc_auc", {"positive": 3}, [0, 3], 3, "positive is 3, but the model has 3 outputs"),
        ("roc_auc", {}, NOT_CLASSES, 1, "needs one class for each input"),
        ("binary", {}, [0, 2, 1], 1, "needs labels 0 and 1, and there is 2"),
        ("binary", {}, [0, 1], 3, "needs one output or two, and the model has 3"),
        ("binary", {"threshold": {"choose": "f1", "first": 2}}, [0, 0, 1, 1, 0], 1, "must both be of both kinds"),
        ("false_accepts", {}, [0, 1], 1, "needs `seconds:`"),
        ("false_accepts", {}, [1, 1], 1, "needs inputs that aren't positive"),
        ("mae", {}, np.ones((3, 2)), 1, "each label has 2 values, the model 1"),
        ("mae", {}, np.ones((3, 2, 2)), 4, "needs values [N] or [N, outputs]; the labels are [3, 2, 2]"),
        ("r2", {}, np.ones(3), 1, "needs labels that vary"),
        ("multilabel_ap", {}, [0, 1], 2, "needs 0 or 1 for each input and label"),
        ("hamming", {}, [[0, 2]], 2, "needs 0 or 1 for each input and label"),
        ("multilabel_ap", {}, [[0, 1]], 2, "no input has label 0"),
        ("hamming", {}, TAGS, 2, "there are 3 labels, but the model has 2 outputs"),
        ("agreement", {}, [0, 1], 2, "needs a `reference:`"),
        ("agreement", {}, [0, 1], 1, "compares classes, and one output says none"),
    ],
)
def test_labels_that_do_not_fit_are_refused(name, parameters, labels, outputs, message):
    targets = Targets(None if labels is None else np.asarray(labels))
    with pytest.raises(ConfigError) as caught:
        task_metric(name, **parameters).check(targets, outputs)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_arrays_of_other_lengths_and_nan_are_refused():
    with pytest.raises(ConfigError, match="there are 3 labels, 2 groups"):
        Targets(np.zeros(3), groups=np.zeros(2, np.int64))
    with pytest.raises(ConfigError, match="labels: that of input 1 is NaN or infinite"):
        Targets(np.array([0, np.nan, 1]))
    with pytest.raises(ConfigError, match="the inputs of group 5 have labels of both kinds"):
        task_metric("roc_auc").check(Targets(np.array([0, 1, 0, 0]), groups=np.array([5, 5, 6, 6])), 1)


@pytest.mark.parametrize(
    ("name", "parameters", "outputs", "message"),
    [
        ("top1", {}, np.array([[0, 1], [np.nan, 1]]), "output of input 1 contains NaN"),
        ("mae", {}, np.array([[0], [np.inf]]), "output of input 1 is inf (of 1 of 2 inputs it isn't a finite number)"),
        ("roc_auc", {}, np.array([[0], [np.nan]]), "output of input 1 is nan"),
        ("roc_auc", {}, np.zeros((0, 1)), "a score needs at least one output"),
        ("reconstruction", {}, np.zeros((150, 5)), "output has 5 values, but its input 8"),
        ("binary", {"threshold": 50}, SCORES[:, None], "threshold 50 is outside of the outputs' range, 0 to 1"),
        ("false_accepts", {"threshold": -3}, 9 * SCORES[:, None], "threshold -3 is outside of the outputs' range, 0"),
        ("roc_auc", {}, np.zeros((4, 1)), "4 outputs can't be scored against 150 labels"),
        ("top1", {}, np.zeros((4, 2)), "4 outputs can't be scored against 150 labels"),
        ("mae", {}, np.zeros((1, 1)), "1 outputs can't be scored against 150 labels"),
        ("binary", {}, np.zeros((1, 1)), "1 outputs can't be scored against 150 labels"),
    ],
)
def test_outputs_that_cannot_be_scored_are_refused(name, parameters, outputs, message):
    metric = task_metric(name, **parameters)
    with pytest.raises(MeasurementError) as caught:
        metric.score(metric.read(outputs, CLIPS), Targets(YES, seconds=1.0))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_performance_only_has_no_score():
    metric = task_metric("none")
    metric.check(Targets(None), 5)
    score = metric.score(metric.read(OUTPUTS, CLIPS), Targets(None))
    assert math.isnan(score.value)
    assert (score.low, score.high) == (None, None)
    with pytest.raises(MeasurementError, match="nothing"):
        metric.compare(OUTPUTS, OUTPUTS, Targets(None), level=0.95, rng=RNG)


# ---- what a report draws


def test_confusion_and_recalls_are_those_of_scikit_learn():
    predictions = OUTPUTS.argmax(1)
    matrix = confusion(LABELS, predictions, 5)
    assert matrix.tolist() == sk.confusion_matrix(LABELS, predictions, labels=range(5)).tolist()
    found = recalls(matrix)
    expected = sk.recall_score(LABELS, predictions, average=None)
    assert [each.value for each in found[:4]] == pytest.approx(expected, abs=1e-12)
    assert (found[4].inputs, math.isnan(found[4].value)) == (0, True)
    ends = scipy.stats.binomtest(matrix[0, 0], matrix[0].sum()).proportion_ci(method="wilson")
    assert (found[0].low, found[0].high) == pytest.approx((ends.low, ends.high), rel=1e-12)


def test_roc_points_are_those_of_scikit_learn_but_for_those_on_straight_lines():
    curve = roc(SCORES, YES == 1)
    points = np.stack(sk.roc_curve(YES, SCORES, drop_intermediate=False), axis=1)
    found = np.stack(dataclasses.astuple(curve), axis=1)
    assert {tuple(each) for each in found.tolist()} < {tuple(each) for each in points.tolist()}
    assert sk.auc(found[:, 0], found[:, 1]) == pytest.approx(sk.roc_auc_score(YES, SCORES), abs=1e-12)
    fine = roc(RNG.normal(size=5000) + np.arange(5000) % 2, np.arange(5000) % 2 == 1, most=50)
    assert len(fine.thresholds) == 50
    assert (fine.false_positive[0], fine.true_positive[-1]) == (0, 1)


def test_residuals_are_one_for_each_output():
    first, second = residuals(VALUES, WANTED)
    assert first.excess == pytest.approx(VALUES[:, 0] - WANTED[:, 0])
    assert second.wanted.tolist() == WANTED[:, 1].tolist()
