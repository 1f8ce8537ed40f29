from __future__ import annotations

import math

import pytest

from fakes.made_cases import pooled
from harness.report.units import UnitSpread, disagreements, other_units, spread_of, unit_spreads
from harness.store import load_results
from harness.store.results import plain_rows

EMULATED = {"backend": "virtual", "image_sha256": "i"}


def ticks(value):
    return [value] * 30


def spreads(*folders):
    results = load_results(folders)
    return unit_spreads(results), plain_rows(results.cases)[0]


def test_the_spread_is_that_of_one_image_on_several_units(store):
    cases = [pooled(number, image_sha256="i", ticks=ticks(1000 + 10 * number)) for number in (0, 1, 2)]
    found, row = spreads(store(cases=(*cases, pooled(3, "other", image_sha256="j", ticks=ticks(5000)))))
    spread = spread_of(found, "latency", row)
    assert (spread.units, spread.ratio) == (3, pytest.approx(1.02))
    logs = [math.log(value / 1010) for value in (1000, 1010, 1020)]
    mean = sum(logs) / 3
    assert spread.sd == pytest.approx(math.sqrt(sum((log - mean) ** 2 for log in logs) / 2))
    assert spread.words == "the same image differs by up to 2 % on 3 units"


def test_the_spread_is_learned_from_the_nights_together(store):
    nights = [store(cases=(pooled(number, image_sha256="i", ticks=ticks(1000 + number)),)) for number in (0, 5)]
    found, row = spreads(*nights)
    assert spread_of(found, "latency", row).ratio == pytest.approx(1.005)


def test_nothing_is_known_of_units_that_ran_no_image_together(store):
    assert spreads(store(cases=(pooled(1, image_sha256="i"), pooled(2, image_sha256="j"))))[0] == {}
    assert spreads(store(cases=(pooled(1), pooled(2))))[0] == {}  # nobody knows which image it was


def test_emulators_and_other_sources_of_energy_say_nothing_of_units(store):
    assert spreads(store(cases=(pooled(1, **EMULATED), pooled(2, **EMULATED, ticks=ticks(2000)))))[0] == {}
    cases = [
        pooled(number, image_sha256="i", energy_uj=float(number), power_source=source)
        for number, source in ((1, "ppk2"), (2, "joulescope"), (3, "joulescope"))
    ]
    found, row = spreads(store(cases=cases))
    assert spread_of(found, "energy", row) is None
    assert spread_of(found, "energy", row | {"power_source": "joulescope"}).ratio == pytest.approx(1.5)


def test_few_units_say_little_of_others():
    few, many = UnitSpread(2, 1.01, 0.007), UnitSpread(16, 1.01, 0.007)
    assert few.margin(0.95) == pytest.approx(math.exp(12.7062 * math.sqrt(2) * 0.007), rel=1e-4)
    assert many.margin(0.95) < few.margin(0.95) / 1.05
    assert UnitSpread(16, 1.5, 0.0).floor(0.95) == 1.5


def test_two_units_are_two_chips_of_one_kind_of_real_board(side):
    a = side(board_uid="1").row
    assert other_units(a, side(board_uid="2").row)
    assert not other_units(a, side(board_uid="1", device="bench-2").row)
    assert not other_units(a, side(board_uid="2", board="other").row)
    assert not other_units(side(backend="virtual", device="a").row, side(backend="virtual", device="b").row)


# ---- what boards have to agree on


def found_apart(*folders):
    results = load_results(folders)
    return disagreements(results, plain_rows(results.cases))


def test_virtual_boards_that_count_otherwise_disagree(store):
    odd = [*ticks(1000)[:-1], 1001]
    cases = [pooled(number, **EMULATED, ticks=odd if number == 3 else ticks(1000)) for number in (1, 2, 3)]
    (sentence,) = found_apart(store(cases=cases))
    assert sentence.startswith(
        "digits/int8: the same image gave other instructions on bench-3 than on bench-1, bench-2"
    )
    assert sentence.endswith("(1 of 30 inputs on bench-3)")


def test_virtual_boards_that_agree_do_not(store):
    assert found_apart(store(cases=[pooled(number, **EMULATED) for number in (1, 2, 3)])) == []


def test_real_boards_may_count_otherwise_but_not_answer_otherwise(store):
    first, second = (pooled(number, image_sha256="i", ticks=ticks(1000 + number)) for number in (1, 2))
    assert found_apart(store(cases=(first, second))) == []
    apart = found_apart(store(cases=(first, second | {"crcs": [*range(29), 77]})))
    assert "the same image gave other outputs on bench-2 than on bench-1 (1 of 30 inputs" in apart[0]


def test_only_one_revision_of_an_emulator_has_to_agree_with_itself(store):
    def night(number, revision):
        return store(cases=(pooled(number, **EMULATED, ticks=ticks(1000 + number)),), revision=revision)

    assert len(found_apart(night(1, "abc"), night(2, "abc"))) == 1
    assert found_apart(night(1, "abc"), night(2, "def")) == []
    assert found_apart(night(1, "abc+"), night(2, "abc+")) == []
    assert found_apart(night(1, None), night(2, None)) == []
