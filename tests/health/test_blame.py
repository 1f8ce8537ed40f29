"""A bad board is told from a bad image by what the siblings did."""

from __future__ import annotations

import random

import pytest

from fakes.made_trials import Night
from harness.health.rules import blame


@pytest.fixture
def night():
    return Night()


def blamed(trials):
    """Sort trials by what they say, and return the suspect images and the boards that each failed on."""
    found = blame(trials)
    sorted_out = {"counted": [trial for trial in trials if found.counts(trial)]}
    for culprit in ("image", "undecided"):
        sorted_out[culprit] = [trial for trial in trials if found.culprits.get(trial) == culprit]
    return sorted_out, {image: boards for (_, _, image), boards in found.suspects.items()}


def test_no_trials_blame_nobody():
    assert blamed([]) == ({"counted": [], "image": [], "undecided": []}, {})


def test_an_image_that_fails_on_two_boards_and_works_on_none_is_suspect(night):
    trials = [night("a"), night("b"), night("b", "new", "LinkError"), night("a", "new", "BoardFaultError")]
    found, suspects = blamed(trials)
    assert suspects == {"new": ("a", "b")}
    assert (found["counted"], found["image"]) == (trials[:2], trials[2:])


def test_an_image_that_works_on_one_sibling_is_not(night):
    trials = [night(board, "new", "LinkError") for board in "ab"] + [night("c", "new")]
    assert blamed(trials) == ({"counted": trials, "image": [], "undecided": []}, {})


def test_a_board_fails_with_what_it_ran_before(night):
    trials = [night("a", "x"), night("a", "x", "LinkError")]
    assert blamed(trials)[0]["counted"] == trials


def test_one_board_and_an_image_that_never_worked_is_undecided_until_a_sibling_ran_it(night):
    failures = [night("a", "new", "LinkError") for _ in range(3)]
    assert blamed(failures) == ({"counted": [], "image": [], "undecided": failures}, {})
    assert blamed([*failures, night("b", "new")])[0]["counted"][:3] == failures
    assert len(blamed([*failures, night("b", "new", "LinkError")])[0]["image"]) == 4


@pytest.mark.parametrize("error", ["ProbeError", "LockedError", "FlashError"])
def test_probe_and_flash_are_never_the_images_fault(night, error):
    trials = [night("a", "new", error), night("b", "new", error), night("a", None, error)]
    assert blamed(trials)[0]["counted"] == trials


def test_a_failure_without_an_image_is_the_boards(night):
    trials = [night("a", None, "LinkError"), night("b", None, "LinkError")]
    assert blamed(trials)[0]["counted"] == trials


def test_the_image_of_health_checks_is_trusted_until_siblings_fail_too(night):
    one = night("a", "known", "LinkError", purpose="check")
    assert blamed([one])[0]["counted"] == [one]
    two = night("b", "known", "LinkError", purpose="check")
    assert blamed([one, two])[0]["image"] == [one, two]


def test_kinds_and_backends_say_nothing_about_each_other(night):
    for other in ({"kind": "other"}, {"backend": "virtual"}):
        alone = night("a", "new", "LinkError")
        assert blamed([alone, night("b", "new", "LinkError", **other)])[1] == {}
        assert blamed([alone, night("b", "new", **other)])[0]["undecided"] == [alone]


@pytest.mark.parametrize("seed", range(5))
def test_a_bad_board_among_good_ones_and_a_bad_image_among_good_ones(night, seed):
    """Board c fails with everything, image "bad" fails everywhere; the order of the night doesn't matter."""
    cases = [(board, image) for board in "abc" for image in ("x", "y", "bad")] * 3
    random.Random(seed).shuffle(cases)
    trials = [night(board, image, "LinkError" if board == "c" or image == "bad" else None) for board, image in cases]
    found, suspects = blamed(trials)
    assert suspects == {"bad": ("a", "b", "c")}
    assert [trial.image_sha256 for trial in found["image"]] == ["bad"] * 9
    assert [trial.device for trial in found["counted"] if not trial.ok] == ["c"] * 6
    assert found["undecided"] == []
