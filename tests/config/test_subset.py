from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from harness.config.subset import stratified
from harness.data.numpy_file import load_array
from harness.errors import ConfigError

PINNED = [10, 16, 25, 31, 38, 39]

#: A test set sorted by class, as published ones are: the speakers of Japanese Vowels.
SORTED = np.repeat(np.arange(9), [31, 35, 88, 44, 29, 24, 40, 50, 29])


@pytest.mark.parametrize("count", [9, 30, 100, 369])
def test_each_class_has_its_share_and_at_least_one(count):
    chosen = stratified(SORTED, count)
    assert len(set(chosen.tolist())) == count
    assert np.all(np.diff(chosen) > 0)
    counts = np.bincount(SORTED[chosen], minlength=9)
    shares = count * np.bincount(SORTED) / len(SORTED)
    assert counts.min() >= 1
    assert np.abs(counts - shares).max() <= 1.5


def test_fewer_inputs_than_classes_are_of_different_classes():
    assert len(set(SORTED[stratified(SORTED, 5)].tolist())) == 5


def test_a_smaller_choice_is_part_of_every_larger_one():
    choices = [set(stratified(SORTED, count).tolist()) for count in range(1, 371)]
    assert all(few < many for few, many in pairwise(choices))
    assert stratified(SORTED, 1000).tolist() == list(range(370))


def test_every_computer_makes_the_same_choice():
    # Written down once: two runs of different years are paired by these numbers.
    assert stratified(np.arange(40) % 4, 6).tolist() == PINNED
    assert stratified(np.arange(40) % 4, 6, seed=1).tolist() != PINNED


def test_within_a_class_inputs_are_not_the_first_ones():
    assert set(stratified(SORTED, 30).tolist()) - {int(np.flatnonzero(label == SORTED)[0]) for label in range(9)}
    assert stratified(np.zeros(1000, int), 100).mean() == pytest.approx(500, abs=100)


def test_an_array_that_unpacks_to_too_much_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "bomb.npz"
    np.savez_compressed(path, inputs=np.zeros(10_000, np.uint8))
    assert len(load_array(path, "inputs")) == 10_000
    monkeypatch.setattr("harness.data.numpy_file.MOST_BYTES", 9_999)
    with pytest.raises(ConfigError, match='array "inputs" unpacks to 10,128 bytes, and at most 9,999 are read'):
        load_array(path, "inputs")
