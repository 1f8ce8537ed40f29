from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fakes.made_cases import pooled
from harness.report.compare import Policy, compare_boards, compare_history, compare_runs, compare_variants
from harness.report.decide import Match, compare_sides
from harness.report.gate import check_limits, parse_limits
from harness.report.history import history
from harness.report.metrics import METRICS
from harness.report.units import UnitSpread
from harness.store import load_results

ALL = ("accuracy", "ticks", "latency", "energy", "peak_ram", "flash")


def rows_of(a, b, policy=None, metrics=ALL, spread=0.0):
    rows, _ = compare_sides([Match(a, b, metrics, spread)], policy or Policy())
    return {row.metric: row for row in rows}


def jitter(count=200, cv=0.0005, scale=1.0, seed=1):
    return np.rint(1e6 * scale * (1 + cv * np.random.default_rng(seed).standard_normal(count))).astype(int)


# ---- what is refused, and why


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"backend": "virtual", "counter": "instructions"}, "different backends: hardware against virtual"),
        ({"counter": "instructions"}, "different counters: cycles against instructions"),
        ({"suite": "letters"}, "different suites"),
        ({"engine": "tflm"}, "different inference engines: tinyml-hil against tflm; --across-engines"),
        ({"status": "failed", "reason": "dead board"}, "is failed: dead board"),
        ({"inputs_sha256": "b"}, "the data of the suite has changed"),
    ],
)
def test_pairs_that_are_refused(side, change, words):
    a, b = side(inputs_sha256="a"), side(**({"run": "other", "inputs_sha256": "a"} | change))
    for found in (rows_of(a, b), rows_of(b, a)):
        assert list(found) == ["all"]
        assert found["all"].verdict == "refused"
    assert words in rows_of(a, b)["all"].reason
    assert rows_of(a, b)["all"].change is None


def test_other_inputs_are_refused(side):
    assert "different inputs: 30 against 40" in rows_of(side(), side([1000] * 40))["all"].reason
    other = side()
    other.samples.loc[3, "label"] = 9
    assert "different inputs: 1 of 30 labels differ" in rows_of(side(), other)["all"].reason


def test_a_run_with_injected_faults_is_no_measurement(side):
    spoiled = replace(side(), faults="serial.flip=1e-4")
    for pair in ((side(), spoiled), (spoiled, side())):
        assert "faults were injected into run" in rows_of(*pair)["all"].reason


def test_kinds_of_boards_of_the_same_clock_are_compared_in_time_with_a_caveat(side):
    row = rows_of(side(), side(board="other"))["latency"]
    assert (row.verdict, row.caveats) == ("same", ("different kinds of board: nano33 against other",))


def test_arenas_in_different_memories_are_a_caveat_of_time_not_of_counts(side):
    a, b = side(arena_memory="DTCM"), side(arena_memory="AXI SRAM")
    assert rows_of(a, b)["latency"].caveats == ("arena in different memories: DTCM against AXI SRAM",)
    assert rows_of(a, side(arena_memory="DTCM"))["latency"].caveats == rows_of(a, side())["latency"].caveats == ()
    counted = [replace(one, row={**one.row, "backend": "virtual", "counter": "instructions"}) for one in (a, b)]
    assert rows_of(*counted)["ticks"].caveats == ()


def test_other_clocks_refuse_the_counter_only(side):
    rows = rows_of(side(ram_peak_bytes=5), side(clock_hz=32_000_000, ram_peak_bytes=5))
    assert (rows["latency"].verdict, rows["peak_ram"].verdict) == ("refused", "same")
    assert "different clocks: 64,000,000 Hz against 32,000,000 Hz" in rows["latency"].reason


def test_instructions_of_other_kinds_of_board_are_refused(side):
    rows = rows_of(side(backend="virtual"), side(backend="virtual", board="other"))
    assert rows["ticks"].verdict == "refused"
    assert "different kinds of board" in rows["ticks"].reason


def test_simulated_and_measured_energy_are_refused(side):
    a, b = (side(energy_uj=5.0, power_source=source) for source in ("ppk2", "simulated"))
    assert "different sources: ppk2 against simulated" in rows_of(a, b)["energy"].reason
    assert rows_of(a, b)["energy"].verdict == "refused"


def test_one_figure_of_energy_has_no_spread(side):
    a, b = (side(energy_uj=value, power_source="ppk2") for value in (5.0, 6.0))
    row = rows_of(a, b)["energy"]
    assert (row.verdict, row.change, row.low) == ("can't tell", 1.2, None)


def test_engines_are_compared_on_request_with_a_note(side):
    row = rows_of(side(), side(engine="tflm"), Policy(across_engines=True))["latency"]
    assert row.verdict == "same"
    assert "different inference engines: tinyml-hil against tflm" in row.notes


# ---- counters


def test_emulated_counters_are_compared_exactly(side):
    ticks = np.arange(1000, 1030)
    row = rows_of(side(ticks, backend="virtual"), side(ticks * 2, backend="virtual"))["ticks"]
    assert (row.verdict, row.exact, row.change, row.low, row.high, row.p_value) == ("worse", True, 2, 2, 2, None)
    assert (row.unit, row.samples) == ("instructions", 30)


def test_an_emulator_never_has_latency_and_hardware_is_compared_in_time(side):
    assert "latency" not in rows_of(side(backend="virtual"), side(backend="virtual"))
    rows = rows_of(side(), side())
    assert "ticks" not in rows
    assert rows["latency"].unit == "us"


def test_an_emulator_that_does_not_repeat_can_not_be_told(side):
    a = side([1000] * 30, backend="virtual", image_sha256="i")
    b = side([1000] * 29 + [1001], backend="virtual", image_sha256="i")
    row = rows_of(a, b)["ticks"]
    assert row.verdict == "can't tell"
    assert "the same image counted otherwise for 1 of 30 inputs" in row.reason


def test_a_difference_on_hardware_has_an_interval(side):
    row = rows_of(side(jitter()), side(jitter(scale=1.02, seed=2)))["latency"]
    assert row.verdict == "worse"
    assert 1.018 < row.family_low <= row.low < row.change < row.high <= row.family_high < 1.022
    assert row.p_value < 1e-6


def test_a_small_difference_on_hardware_is_the_same(side):
    row = rows_of(side(jitter()), side(jitter(scale=1.002, seed=2)))["latency"]
    assert (row.verdict, row.reason[:15]) == ("same", "same within 1 %")


def test_a_difference_that_can_not_be_told_says_how_many_samples_would(side):
    a, b = jitter(60, 0.05), jitter(60, 0.05, 1.01, 2)
    row = rows_of(side(a), side(b), Policy(repeat_limit=1.0))["latency"]
    assert row.verdict == "can't tell"
    assert row.samples_needed > 60
    assert f"about {row.samples_needed - 60:,} more inputs would tell" in row.reason


def test_few_inputs_are_noted(side):
    assert rows_of(side([1000] * 10), side([1001] * 10))["latency"].caveats == ("only 10 inputs",)


# ---- boards that don't repeat


def test_a_noisy_board_hides_a_small_difference_but_not_a_large_one(side):
    random = np.random.default_rng(3)
    noisy = 1e6 * (1 + 0.01 * random.standard_normal((200, 3)))
    steady = jitter(200)
    row = rows_of(side(steady), side(np.rint(noisy * 1.012).astype(int)))["latency"]
    assert row.verdict == "can't tell"
    assert any("noisy" in note and "0.2 % is allowed" in note for note in row.caveats)
    assert row.samples_needed is None  # more inputs don't average out what the board doesn't repeat
    assert rows_of(side(steady), side(np.rint(noisy * 1.5).astype(int)))["latency"].verdict == "worse"


def test_two_runs_of_the_same_image_that_differ_input_by_input_are_noisy(side):
    a, b = (side(jitter(200, 0.01, seed=seed), image_sha256="i") for seed in (1, 2))
    assert any("the same image spreads by" in note for note in rows_of(a, b)["latency"].notes)


def test_what_nights_differ_by_goes_into_the_interval(side):
    a, b = side(jitter()), side(jitter(scale=1.02, seed=2))
    assert rows_of(a, b)["latency"].verdict == "worse"
    assert rows_of(a, b, spread=0.02)["latency"].verdict == "can't tell"


# ---- accuracy


def test_the_same_image_has_exactly_the_same_accuracy(side):
    row = rows_of(side(image_sha256="i"), side(image_sha256="i"))["accuracy"]
    assert (row.verdict, row.exact, row.change, row.notes[0]) == ("same", True, 0, "the same image")


def test_the_same_image_with_other_answers_can_not_be_told(side):
    right = np.ones(30, bool)
    wrong = right.copy()
    wrong[4] = False
    row = rows_of(side(correct=right, image_sha256="i"), side(correct=wrong, image_sha256="i"))["accuracy"]
    assert row.verdict == "can't tell"
    assert "the same image gave another answer for 1 of 30 inputs" in row.reason


def test_outputs_that_are_equal_to_the_bit_are_the_same(side):
    row = rows_of(side(image_sha256="i"), side(image_sha256="j"))["accuracy"]
    assert (row.verdict, row.notes[0]) == ("same", "all 30 outputs are equal to the bit")


def test_equal_answers_of_other_outputs_are_not_the_same_with_few_inputs(side):
    row = rows_of(side(), side(crcs=np.arange(100, 130)))["accuracy"]
    assert (row.verdict, row.exact, row.change) == ("can't tell", False, 0)
    assert row.low < 0 < row.high


def test_accuracy_is_paired(side):
    """The same inputs wrong on both sides say nothing; with 40 others lost, it is worse."""
    count = 1000
    a, b = np.ones(count, bool), np.ones(count, bool)
    a[:200] = b[:200] = False
    b[200:240] = False
    crcs = np.arange(count)
    row = rows_of(side([1000] * count, a), side([1000] * count, b, crcs=crcs + 5))["accuracy"]
    assert (row.verdict, round(row.change, 12)) == ("worse", -0.04)
    assert -0.055 < row.low < -0.04 < row.high < -0.029
    assert "0 are right only now and 40 only before; 40 answers differ" in row.notes[0]


def test_memory_is_compared_exactly_and_what_is_missing_says_why(side):
    a, b = side(ram_peak_bytes=1000), side(ram_peak_bytes=1065)
    row = rows_of(a, b)["peak_ram"]
    assert (row.verdict, row.change, row.exact) == ("worse", 65, True)
    row = rows_of(a, side(ram_reason="no probe"))["peak_ram"]
    assert (row.verdict, row.change) == ("can't tell", None)
    assert "has no peak_ram: no probe" in row.reason


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [(30_000, 30_004, "same"), (30_000, 30_299, "same"), (30_000, 30_301, "worse"), (30_000, 29_690, "better"),
     (332, 328, "same"), (332, 396, "worse"), (0, 64, "worse"), (0, 63, "same")],
)  # fmt: skip
def test_a_few_bytes_are_no_news(side, before, after, verdict):
    columns = ("flash_bytes", "flash_compressed_bytes", "ram_peak_bytes", "ram_stack_bytes")
    a, b = (side(**dict.fromkeys(columns, value)) for value in (before, after))
    metrics = ("flash", "flash_compressed", "peak_ram", "ram_stack")
    found = compare_sides([Match(a, b, metrics)], Policy())[0]
    assert {row.verdict for row in found} == {verdict}
    exact = compare_sides([Match(a, b, metrics)], Policy(margins=dict.fromkeys(metrics, 0.0)))[0]
    assert {row.verdict for row in exact} == {"worse" if after > before else "better"}


def test_every_metric_has_a_least_difference():
    assert all(metric.least_difference(30_000) > 0 for metric in METRICS.values())


def test_a_margin_is_the_least_difference_that_matters(side):
    a, b = side(ram_peak_bytes=1000), side(ram_peak_bytes=1100)
    assert rows_of(a, b, Policy(margins={"peak_ram": 200}))["peak_ram"].verdict == "same"
    assert rows_of(a, b, Policy(margins={"peak_ram": 100}))["peak_ram"].verdict == "worse"


@pytest.mark.slow
def test_many_rows_at_once_need_more_evidence(side):
    a, b = jitter(60, 0.002), jitter(60, 0.002, 1.0016, 5)
    policy = Policy(margins={"latency": 0.0})
    alone = compare_sides([Match(side(a), side(b), ("latency",))], policy)[0]
    match = [Match(side(a), side(b), ("latency",)) for _ in range(50)]
    many = compare_sides(match, policy)[0]
    assert (alone[0].verdict, many[0].verdict) == ("worse", "can't tell")
    assert many[0].p_value == pytest.approx(min(1, 50 * alone[0].p_value))
    assert "one of 50 comparisons" in many[0].reason
    assert many[0].samples_needed > 60
    assert many[0].family_low < many[0].low == alone[0].low


# ---- runs on the disk


def test_variants_are_held_against_their_baseline(store):
    run = store(
        cases=({"variant": "float32"}, {"variant": "int8", "baseline": "float32"}, {"variant": "x", "baseline": "y"})
    )
    found = compare_variants(load_results(run))
    assert {(row.a.variant, row.b.variant) for row in found.rows} == {("float32", "int8")}
    assert found.unmatched == (f"digits/x on nano33 of run {run.name}: its baseline y was not measured",)
    assert [item.case.variant for item in found.repeatability] == ["float32", "int8"]


def test_runs_are_paired_by_device_suite_and_variant(store):
    a = store(cases=({}, {"variant": "gone"}))
    b = store(cases=({}, {"variant": "new"}), ticks=[1100] * 30)
    found = compare_runs(load_results(a), load_results(b))
    assert {row.b.variant for row in found.rows} == {"int8"}
    assert {row.metric: row.verdict for row in found.rows}["latency"] == "worse"
    assert [sentence.split(": ")[1] for sentence in found.unmatched] == ["not in the baseline", "only in the baseline"]
    assert [sentence.split(": ")[1] for sentence in found.vanished] == ["only in the baseline"]
    kept = check_limits(found, parse_limits("latency>20%"))
    assert (kept.outcome, kept.exit_code) == ("can't tell", 6), "nothing is known of the one that vanished"
    assert [check.reason.split(": ")[1] for check in kept.checks if check.outcome != "ok"] == [
        "only in the baseline; not measured now"
    ]
    assert (found.a, found.b) == (a.name, b.name)
    assert len(found.frame()) == len(found.rows)
    assert found.frame().a_run.unique().tolist() == [a.name]


def test_a_device_on_two_backends_is_paired_only_to_be_refused(store):
    a, b = store(), store(cases=({"backend": "virtual"},))
    found = compare_runs(load_results(a), load_results(b))
    assert [row.verdict for row in found.rows] == ["refused"]


def test_two_units_of_a_board(store):
    run = store(cases=({"device": "a", "board_uid": "1"}, {"device": "b", "board_uid": "2"}))
    found = compare_boards(load_results(run), "a", "b")
    assert {(row.a.device, row.b.device) for row in found.rows} == {("a", "b")}
    assert all("measured on two units of the board" in row.notes for row in found.rows)
    assert compare_boards(load_results(run), "a", "c").rows == ()


def test_nights_are_typical_by_their_median(store):
    nights = [store(ticks=jitter(50, scale=scale, seed=i)) for i, scale in enumerate((1.0, 1.001, 1.5, 1.002, 1.0))]
    current = store(ticks=jitter(50, scale=1.1, seed=9))
    found, series = compare_history(load_results(nights), load_results(current))
    row = next(row for row in found.rows if row.metric == "latency")
    assert row.a.run == nights[1].name
    assert row.verdict == "worse"
    assert found.unmatched == ()
    latency = next(item for item in series if item.metric == "latency")
    assert latency.points["run"].tolist() == [run.name for run in (*nights, current)]


# ---- pools of boards

SPREADS = {("latency", "nano33", 64_000_000, None): UnitSpread(16, 1.02, 0.007)}


def on_units(side, scale, uids=("1", "2"), spreads=SPREADS):
    a = side(jitter(), pool="nano33", device="bench-1", board_uid=uids[0])
    b = side(jitter(scale=scale, seed=2), pool="nano33", device="bench-2", board_uid=uids[1])
    rows, _ = compare_sides([Match(a, b, ALL)], Policy(), spreads)
    return {row.metric: row for row in rows}


@pytest.mark.parametrize(("scale", "verdict"), [(1.015, "can't tell"), (1.0, "can't tell"), (1.1, "worse")])
def test_a_difference_within_the_spread_between_units_is_not_called(side, scale, verdict):
    row = on_units(side, scale)["latency"]
    assert row.verdict == verdict
    if verdict != "worse":
        words = "is within the spread between units (the same image differs by up to 2 % on 16 units)"
        assert words in row.reason
        assert row.low < row.family_high / 1.02
        assert row.samples_needed is None
    assert row.family_low <= row.change / 1.02


def test_on_one_unit_or_with_an_unknown_spread_there_is_no_such_floor(side):
    for rows in (on_units(side, 1.015, uids=("1", "1")), on_units(side, 1.015, spreads={})):
        assert rows["latency"].verdict == "worse"
    assert on_units(side, 1.015, uids=("1", "1"))["latency"].caveats == ()
    rows = on_units(side, 1.015, spreads={})
    assert {name: row.caveats for name, row in rows.items()} == {
        "accuracy": (),
        "latency": ("measured on two units of the board",),
    }


def test_units_that_did_not_differ_leave_the_verdict_alone(side):
    same = {key: UnitSpread(2, 1.0, 0.0) for key in SPREADS}
    assert on_units(side, 1.015, spreads=same)["latency"].verdict == "worse"


def test_energy_of_two_units_has_the_caveat(side):
    a, b = (side(energy_uj=5.0, power_source="ppk2", pool="nano33", board_uid=uid) for uid in "12")
    assert rows_of(a, b)["energy"].caveats == ("measured on two units of the board",)


def test_instructions_of_virtual_boards_do_not_depend_on_the_unit(side):
    a, b = (side(backend="virtual", pool="nano33", device=name, board_uid=name) for name in "ab")
    row = rows_of(a, b)["ticks"]
    assert (row.verdict, row.caveats) == ("same", ())


def test_variants_of_a_pool_are_compared_whichever_board_measured_them(store):
    run = store(cases=(pooled(1, "float32"), pooled(2, "int8", baseline="float32")))
    found = compare_variants(load_results(run))
    assert {(row.a.device, row.b.device, row.b.place) for row in found.rows} == {("bench-1", "bench-2", "nano33")}
    assert found.unmatched == ()


def test_a_run_of_every_case_on_every_device_is_compared_device_by_device(store):
    cases = [
        pooled(number, variant, baseline=base) | {"pool": None}
        for number in (1, 2)
        for variant, base in (("float32", None), ("int8", "float32"))
    ]
    found = compare_variants(load_results(store(cases=cases)))
    assert {(row.a.device, row.b.device) for row in found.rows} == {("bench-1", "bench-1"), ("bench-2", "bench-2")}


def test_another_board_of_the_pool_the_next_night_is_no_new_case(store):
    a = store(cases=(pooled(1, backend="virtual"), pooled(2, "gone", backend="virtual")))
    b = store(cases=(pooled(3, backend="virtual"),))
    found = compare_runs(load_results(a), load_results(b))
    assert {(row.a.device, row.b.device, row.verdict) for row in found.rows} == {("bench-1", "bench-3", "same")}
    (gone,) = found.unmatched
    assert gone.startswith("digits/gone on nano33 (bench-2) of run")
    assert gone.endswith("only in the baseline")
    nights, series = compare_history(load_results(a), load_results(b))
    assert len(nights.unmatched) == len(nights.vanished) == 1
    (ticks,) = (line for line in series if line.metric == "ticks" and line.variant == "int8")
    assert (ticks.place, ticks.points["device"].tolist()) == ("nano33", ["bench-1", "bench-3"])


def test_the_same_image_on_another_unit_the_next_night_is_no_regression(store):
    a, b = (
        store(cases=(pooled(number, image_sha256="i", ticks=jitter(scale=scale, seed=number)),))
        for number, scale in ((1, 1.0), (2, 1.03))
    )
    row = next(row for row in compare_runs(load_results(a), load_results(b)).rows if row.metric == "latency")
    assert (row.verdict, row.change > 1.029) == ("can't tell", True)
    assert "within the spread between units" in row.reason


def test_boards_that_are_compared_as_such_have_no_floor(store):
    cases = [pooled(number, image_sha256="i", ticks=jitter(scale=1 + number / 50, seed=number)) for number in (1, 2)]
    found = compare_boards(load_results(store(cases=cases)), "bench-1", "bench-2")
    assert {row.metric: row.verdict for row in found.rows}["latency"] == "worse"
    assert compare_boards(load_results(store(cases=cases)), "bench-1", "nano33").rows != ()


def test_the_series_of_a_pool_has_no_steps_that_units_explain(store):
    def night(unit, scale):
        return store(cases=(pooled(unit, image_sha256="i", ticks=jitter(50, 0.0002, scale, seed=unit)),))

    units = {1: 1.0, 2: 1.03, 3: 1.015, 4: 1.02}
    nights = [night(1, 1.0) for _ in range(4)] + [night(unit, units[unit]) for unit in (2, 2, 3, 4)]
    _, series = compare_history(load_results(nights[:-1]), load_results(nights[-1]))
    assert [line.shifts for line in series if line.metric == "latency"] == [()]
    one = load_results(nights)
    one.cases["board_uid"] = "uid1"  # of one board, the same figures are a step
    (line,) = (line for line in history(one) if line.metric == "latency")
    assert line.shifts
