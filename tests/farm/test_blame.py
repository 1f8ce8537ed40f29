"""A bad board is told from a bad image by what the siblings did."""

from __future__ import annotations

import random

import pytest

from fakes.made_events import Night
from harness.farm.blame import blame


@pytest.fixture
def night():
    return Night()


def test_no_events_blame_nobody():
    assert blame([]) == blame(iter(()))
    assert blame([]).counted == ()


def test_an_image_that_fails_on_two_boards_and_works_on_none_is_suspect(night):
    events = [night("a"), night("b"), night("a", "new", "LinkError"), night("b", "new", "BoardFaultError")]
    found = blame(events)
    (image,) = found.images
    assert (image.image_sha256, image.boards, image.failures) == ("new", ("a", "b"), 2)
    assert found.counted == tuple(events[:2])
    assert found.excused == tuple(events[2:])


def test_an_image_that_works_on_one_sibling_is_not(night):
    events = [night(board, "new", "LinkError") for board in "ab"] + [night("c", "new")]
    found = blame(events)
    assert found.images == found.excused == ()
    assert [event.device for event in found.counted] == ["a", "b", "c"]


def test_a_board_fails_with_what_it_ran_before(night):
    events = [night("a", "x"), night("a", "x", "LinkError")]
    assert blame(events).counted == tuple(events)


def test_one_board_and_an_image_that_never_worked_is_undecided(night):
    events = [night("a", "new", "LinkError") for _ in range(5)]
    found = blame(events)
    assert found.undecided == tuple(events)
    assert found.counted == found.excused == ()


def test_a_sibling_decides_later_what_was_undecided(night):
    failures = [night("a", "new", "LinkError") for _ in range(3)]
    assert blame(failures).undecided == tuple(failures)
    assert blame([*failures, night("b", "new")]).counted[:3] == tuple(failures)
    assert len(blame([*failures, night("b", "new", "LinkError")]).excused) == 4


@pytest.mark.parametrize("error", ["ProbeError", "LockedError", "FlashError"])
def test_probe_and_flash_are_never_the_images_fault(night, error):
    events = [night("a", "new", error), night("b", "new", error), night("a", None, error)]
    assert blame(events).counted == tuple(events)


def test_a_failure_without_an_image_is_the_boards(night):
    events = [night("a", None, "LinkError"), night("b", None, "LinkError")]
    assert blame(events).counted == tuple(events)


def test_the_image_of_health_checks_is_trusted_until_siblings_fail_too(night):
    one = night("a", "known", "LinkError", purpose="check")
    assert blame([one]).counted == (one,)
    two = night("b", "known", "LinkError", purpose="check")
    assert blame([one, two]).excused == (one, two)


def test_kinds_and_backends_say_nothing_about_each_other(night):
    for other in ({"kind": "other"}, {"backend": "virtual"}):
        alone = night("a", "new", "LinkError")
        assert blame([alone, night("b", "new", "LinkError", **other)]).images == ()
        assert blame([alone, night("b", "new", **other)]).undecided == (alone,)


@pytest.mark.parametrize("seed", range(5))
def test_a_bad_board_among_good_ones_and_a_bad_image_among_good_ones(night, seed):
    """Board c fails with everything, image "bad" fails everywhere; the order of the night doesn't matter."""
    cases = [(board, image) for board in "abc" for image in ("x", "y", "bad")] * 3
    random.Random(seed).shuffle(cases)
    events = [night(board, image, "LinkError" if board == "c" or image == "bad" else None) for board, image in cases]
    found = blame(events)
    assert [image.image_sha256 for image in found.images] == ["bad"]
    assert {event.image_sha256 for event in found.excused} == {"bad"}
    assert len(found.excused) == 9
    failures = [event for event in found.counted if not event.ok]
    assert {event.device for event in failures} == {"c"}
    assert len(failures) == 6
    assert found.undecided == ()


def test_a_bad_board_and_an_image_that_only_it_ran(night):
    events = [night("a", "x"), night("c", "x", "LinkError"), night("c", "new", "LinkError")]
    found = blame(events)
    assert [event.image_sha256 for event in found.counted] == ["x", "x"]
    assert [event.image_sha256 for event in found.undecided] == ["new"]
