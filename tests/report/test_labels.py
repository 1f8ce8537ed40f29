from __future__ import annotations

import random
from itertools import combinations, pairwise

import pytest

from harness.report.plots.labels import Box, place, spread

FRAME = Box(38, 36, 380, 280)


def overlap(a, b):
    return max(min(a.right, b.right) - max(a.left, b.left), 0) * max(min(a.top, b.top) - max(a.bottom, b.bottom), 0)


@pytest.mark.parametrize("seed", range(8))
def test_ten_labels_among_scattered_points_hide_neither_each_other_nor_leave_the_frame(seed):
    rng = random.Random(seed)
    points = [(rng.uniform(45, 370), rng.uniform(60, 250)) for _ in range(10)]
    labels = place(points, [(rng.uniform(20, 120), 11) for _ in points], FRAME)
    for a, b in combinations(labels, 2):
        assert overlap(a.box, b.box) == 0
    for label in labels:
        assert FRAME.left <= label.box.left
        assert label.box.right <= FRAME.right
        assert FRAME.bottom <= label.box.bottom
        assert label.box.top <= FRAME.top


def test_six_labels_of_one_point_all_find_a_place():
    labels = place([(200, 150)] * 6, [(80, 11)] * 6, FRAME)
    assert all(overlap(a.box, b.box) == 0 for a, b in combinations(labels, 2))
    assert any(label.leader for label in labels)


def test_a_lone_label_stands_right_of_its_point():
    (label,) = place([(100, 100)], [(40, 11)], FRAME)
    assert (label.align, label.leader) == ("left", False)
    assert label.box.left > 100


def test_a_label_at_the_right_edge_stands_left_of_its_point():
    (label,) = place([(378, 100)], [(40, 11)], FRAME)
    assert label.align == "right"


def test_spread_keeps_the_order_and_the_gap():
    found = spread([50, 10, 11, 12], 12, 0, 100)
    assert sorted(range(4), key=lambda i: found[i]) == [1, 2, 3, 0]
    ordered = sorted(found)
    assert all(b - a >= 12 - 1e-3 for a, b in pairwise(ordered))
    assert ordered[0] >= 0
    assert ordered[-1] <= 100
