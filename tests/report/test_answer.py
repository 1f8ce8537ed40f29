from __future__ import annotations

from dataclasses import replace

import pytest

from fakes.recorded_runs import VARIANTS, Made, Setting, about, begin, record_case, record_run
from harness.report.answer import answer
from harness.report.frame import Policy
from harness.report.groups import grouped
from harness.store import Run, load_results

GOOD = Made("good", "int8", None, 0.02, 1000, 1000, 9000, jitter=0)
BAD = Made("bad", "int8", "good", 0.6, 2000, 2000, 8000, jitter=0)


def answered(folder, policy=None):
    results = load_results(folder)
    (group,) = grouped(results)
    return answer(results, group, policy)


def axes(found):
    return {axis.metric: axis for axis in found.axes}


def test_a_variant_leads_where_it_was_found_better(tmp_path):
    found = answered(record_run(tmp_path, [GOOD, BAD], Setting(samples=300)))
    accuracy = axes(found)["accuracy"]
    assert (accuracy.leaders, accuracy.settled, accuracy.exact) == (("good",), True, False)
    assert "points against the next, bad (interval +" in accuracy.sentence
    ticks = axes(found)["ticks"]
    assert (ticks.title, ticks.leaders, ticks.exact) == ("fewest instructions", ("good",), True)
    assert ticks.value == "1,000 instructions"
    assert "50.0 % against the next, bad." in ticks.sentence
    assert axes(found)["flash"].leaders == ("bad",)
    assert found.lead.startswith("good has the highest accuracy, the fewest instructions and the least RAM.")
    assert "bad has the least flash." in found.lead


def test_an_accuracy_that_chance_could_explain_has_no_leader(tmp_path):
    found = answered(record_run(tmp_path, VARIANTS[:2], Setting(samples=100)))
    accuracy = axes(found)["accuracy"]
    assert set(accuracy.leaders) == {"float32", "int8"}
    assert not accuracy.settled
    assert "100 inputs can't tell" in accuracy.sentence
    assert "For the highest accuracy" in found.lead
    assert "cannot be told apart yet" in found.lead


def test_who_is_worse_is_said_where_several_lead(tmp_path):
    twin = replace(GOOD, name="twin")
    flash = axes(answered(record_run(tmp_path, [replace(GOOD, flash=100), replace(twin, flash=100), BAD])))["flash"]
    assert flash.leaders == ("good", "twin")
    assert flash.sentence == "good and twin are equal; bad is worse."


def test_a_few_bytes_make_no_leader(tmp_path):
    found = answered(record_run(tmp_path, [GOOD, replace(GOOD, name="near", flash=9008, arena=1004), BAD]))
    assert axes(found)["peak_ram"].leaders == ("good", "near")
    worse = answered(record_run(tmp_path, [GOOD, replace(GOOD, name="near", flash=9008)]))
    assert (axes(worse)["flash"].leaders, axes(worse)["flash"].settled) == (("good", "near"), True)
    assert "near is the same as good within 90 bytes" in axes(worse)["flash"].sentence


def test_instructions_within_the_least_difference_are_level(tmp_path):
    near = replace(GOOD, name="near", ticks=1005)
    run = record_run(tmp_path, [GOOD, near])
    ticks = axes(answered(run))["ticks"]
    assert (ticks.leaders, ticks.settled) == (("good", "near"), True)
    assert ticks.sentence == "near is the same as good within 1 %."
    strict = axes(answered(run, Policy(margins={"ticks": 0.001})))["ticks"]
    assert strict.leaders == ("good",)


def test_a_board_has_latency_and_an_emulator_has_not(tmp_path):
    setting = Setting(backend="hardware", device="nano33-a")
    found = answered(record_run(tmp_path / "board", [GOOD, BAD], setting))
    assert {"latency", "ticks"} & set(axes(found)) == {"latency"}
    assert axes(found)["latency"].title == "shortest latency"
    emulated = answered(record_run(tmp_path / "twin", [GOOD, BAD]))
    assert {"latency", "ticks"} & set(axes(emulated)) == {"ticks"}
    assert "latency" not in emulated.lead


def test_one_energy_figure_each_names_no_leader(tmp_path):
    setting = Setting(backend="hardware", device="nano33-a", energy_uj=100, power_source="ppk2")
    energy = axes(answered(record_run(tmp_path, [GOOD, BAD], setting)))["energy"]
    assert not energy.settled
    assert "can't tell" in energy.sentence


def test_simulated_energy_is_called_so_wherever_it_is_named(tmp_path):
    setting = Setting(energy_uj=100, power_source="simulated")
    found = answered(record_run(tmp_path, [GOOD, BAD], setting))
    assert axes(found)["energy"].title == "least simulated energy"
    assert "least simulated energy" in found.lead


def test_a_case_that_failed_is_not_in_the_answer(tmp_path):
    with Run.create(tmp_path, about(Setting())) as run:
        record_case(run, GOOD, Setting())
        record_case(run, BAD, Setting())
        begin(run, VARIANTS[0], Setting()).finish(status="failed", reason="no answer")
    found = answered(run.path)
    assert all("float32" not in axis.leaders and "float32" not in axis.sentence for axis in found.axes)


@pytest.mark.parametrize(("count", "words"), [(0, "No variant was measured completely"), (1, "Only good was measured")])
def test_fewer_than_two_cases_compare_with_nothing(tmp_path, count, words):
    with Run.create(tmp_path, about(Setting())) as run:
        for _ in range(count):
            record_case(run, GOOD, Setting())
        begin(run, BAD, Setting()).finish(status="failed", reason="no answer")
    found = answered(run.path)
    assert found.lead.startswith(words)
    assert found.axes == ()


def test_a_variant_without_the_figure_is_named(tmp_path):
    with Run.create(tmp_path, about(Setting())) as run:
        for made in (GOOD, BAD):
            record_case(run, made, Setting())
        lost = begin(run, replace(GOOD, name="lost"), Setting())
        lost.finish(status="complete", flash_bytes=1, accuracy=None)
    flash = axes(answered(run.path))
    assert flash["peak_ram"].sentence.endswith("lost has no figure.")


def test_variants_on_different_inputs_have_no_leader_and_the_reason_is_said(tmp_path):
    with Run.create(tmp_path, about(Setting())) as run:
        record_case(run, GOOD, Setting(samples=50))
        record_case(run, BAD, Setting(samples=60))
    found = answered(run.path)
    assert found.axes == ()
    assert found.lead.startswith("Not compared: ")
    assert "different inputs" in found.lead


@pytest.mark.slow
def test_with_no_true_difference_a_leader_is_named_in_fewer_than_one_run_of_twenty(tmp_path):
    false_alarms = 0
    for seed in range(40):
        same = [Made(f"v{n}", "int8", None, 0.2, 1000, 1000, 9000, jitter=0) for n in range(5)]
        with Run.create(tmp_path, about(Setting())) as run:
            for number, made in enumerate(same):
                record_case(run, made, Setting(samples=100, seed=1000 * seed + number))
        accuracy = axes(answered(run.path))["accuracy"]
        false_alarms += len(accuracy.leaders) == 1
    assert false_alarms <= 2  # of 40; four false alarms in ten would be missed once in a million
