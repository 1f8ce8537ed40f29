from __future__ import annotations

import pytest

from harness.errors import ConfigError
from harness.search import load_space
from harness.search.space import read_limit

TEXT = """
task: shapes
inputs: {file: data.npz, array: images}
labels: {file: data.npz, array: labels}
classes: [a, b]
space:
  width: [8, 16, 32]
  depth: [1, 2]
make: [make-it, "{params}", "{out}", "{stage}"]
limits:
  ram_peak_bytes: {max: 20000}
"""


@pytest.fixture
def written(tmp_path):
    def write(text):
        path = tmp_path / "search.yaml"
        path.write_text(text)
        return path

    return write


def test_candidates_are_all_combinations_in_order(written):
    space = load_space(written(TEXT))
    params = [dict(candidate.params) for candidate in space.candidates(10, seed=0)]
    assert space.size == 6
    assert params == [{"width": w, "depth": d} for w in (8, 16, 32) for d in (1, 2)]


def test_some_of_many_are_chosen_by_the_seed(written):
    space = load_space(written(TEXT))
    names = [[candidate.name for candidate in space.candidates(3, seed)] for seed in (0, 0, 1, 2, 3)]
    everything = [candidate.name for candidate in space.candidates(6, seed=0)]
    assert names[0] == names[1]
    assert len({tuple(chosen) for chosen in names}) > 1
    assert all(chosen == [name for name in everything if name in chosen] for chosen in names)


def test_a_name_depends_on_the_choices_only(written):
    space = load_space(written(TEXT))
    swapped = load_space(
        written(TEXT.replace("  width: [8, 16, 32]\n  depth: [1, 2]", "  depth: [1, 2]\n  width: [8]"))
    )
    names = {candidate.name for candidate in space.candidates(9, 0)}
    assert len(names) == 6
    assert {candidate.name for candidate in swapped.candidates(9, 0)} < names


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[8, 16, 32]", "[8, 8]", r"search.yaml:7: space.width: a value stands twice"),
        ("[8, 16, 32]", "[]", r"search.yaml:7: space.width"),
        ('"{out}"', '"{outt}"', r"search.yaml:9: make\[2\]: .*known placeholders are {params}, {out}"),
        ('"{params}", ', "", r"make: must say where {params} goes"),
        ("ram_peak_bytes", "ram_peek_bytes", r'limits.ram_peek_bytes: .*did you mean "ram_peak_bytes"'),
        ("{max: 20000}", "{max: 20000}\n  ticks_median: {max: 5}", r"say what is counted"),
        ("task: shapes", "task: shapes\nsuite: x", r"suite: unknown key"),
    ],
)
def test_a_wrong_file_is_refused_with_its_line(written, old, new, message):
    with pytest.raises(ConfigError, match=message):
        load_space(written(TEXT.replace(old, new)))


def test_limits_on_the_command_line():
    assert read_limit("ram_peak_bytes=20_000") == ("ram_peak_bytes", 20000)
    for wrong in ("ram_peak_bytes", "ram_peak_bytes=much", "=5", "x=nan"):
        with pytest.raises(ConfigError, match="is no limit; write a column"):
            read_limit(wrong)
