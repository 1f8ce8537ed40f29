from __future__ import annotations

import json
from dataclasses import replace

import pytest

from fakes.recorded_runs import VARIANTS, Setting, about, begin, memory, record_case, record_run
from harness.report.caveats import caveats
from harness.report.compare import compare_variants
from harness.report.content import compose
from harness.report.groups import grouped
from harness.store import Run, load_results

HARDWARE = Setting(samples=60, backend="hardware", device="nano33-a")


def found(folder):
    results = load_results(folder)
    (group,) = grouped(results)
    return {caveat.title: caveat for caveat in caveats(group, compare_variants(results))}


def test_an_emulated_run_says_that_instructions_are_no_latency(tmp_path):
    caveat = found(record_run(tmp_path, VARIANTS[:2]))["Emulated"]
    assert caveat.tone == "warning"
    assert "not cycles, and neither latency nor energy" in caveat.text


def test_a_board_with_enough_samples_has_nothing_to_say(tmp_path):
    assert found(record_run(tmp_path, VARIANTS[:2], replace(HARDWARE, samples=1500))) == {}


def test_few_samples_say_how_far_off_an_accuracy_may_be(tmp_path):
    assert "With 60 inputs" in found(record_run(tmp_path, VARIANTS[:2], HARDWARE))["Few samples"].text


@pytest.mark.parametrize("status", ["failed", "skipped"])
def test_a_case_without_figures_comes_first_with_its_reason(tmp_path, status):
    with Run.create(tmp_path, about(HARDWARE)) as run:
        record_case(run, VARIANTS[0], HARDWARE)
        begin(run, VARIANTS[1], HARDWARE).finish(status=status, reason="no answer within 2 s")
    caveat = next(iter(found(run.path).values()))
    assert (caveat.title, caveat.text, caveat.tone) == (f"int8 {status}", "no answer within 2 s.", "failed")


def test_cases_that_failed_alike_are_named_together(tmp_path):
    with Run.create(tmp_path, about(HARDWARE)) as run:
        for made in VARIANTS[:3]:
            begin(run, made, HARDWARE).finish(status="failed", reason="no answer")
    assert found(run.path)["3 cases failed"].text == "float32, int8, int8_qat: no answer."


def test_simulated_power_is_said(tmp_path):
    setting = replace(HARDWARE, backend="virtual", energy_uj=1, power_source="simulated")
    assert "nothing about a real board" in found(record_run(tmp_path, VARIANTS[:2], setting))["Simulated power"].text


def test_different_numbers_of_inputs_are_said(tmp_path):
    with Run.create(tmp_path, about(HARDWARE)) as run:
        record_case(run, VARIANTS[0], HARDWARE)
        record_case(run, VARIANTS[1], replace(HARDWARE, samples=70))
    assert "60 to 70 inputs" in found(run.path)["Different inputs"].text


def test_a_board_that_does_not_repeat_is_called_noisy(tmp_path):
    with Run.create(tmp_path, about(HARDWARE)) as run:
        for made in VARIANTS[:2]:
            case = begin(run, made, HARDWARE)
            for sample in range(40):
                for repeat in range(3):
                    ticks = 1000 + 100 * ((sample + repeat) % 3)
                    case.sample(sample=sample, repeat=repeat, label=0, prediction=0, ticks=ticks, output_crc=1)
            case.finish(
                status="complete", ticks_median=1100.0, latency_us_median=17.2, clock_hz=64_000_000, **memory(made)
            )
    assert found(run.path)["Noisy board"].tone == "warning"


def test_attempts_and_missing_ram_parts_are_noted(tmp_path):
    with Run.create(tmp_path, about(HARDWARE)) as run:
        case = begin(run, VARIANTS[0], HARDWARE)
        case.restart("no answer")
        case.finish(status="complete", ram_reason="no probe to read the stack with")
    notes = found(run.path)
    assert "float32 (2)" in notes["Repeated attempts"].text
    assert notes["RAM incomplete"].text == "float32: no probe to read the stack with."


def test_a_recovered_run_of_changed_files_is_noted(tmp_path):
    folder = record_run(tmp_path, VARIANTS[:1], HARDWARE)
    file = folder / "run.json"
    content = json.loads(file.read_text()) | {"state": "recovered", "damaged_lines": 3, "git_revision": "abc+"}
    file.write_text(json.dumps(content))
    assert {"Recovered run", "Damaged journal", "Uncommitted files"} <= set(found(folder))


def test_what_was_not_compared_is_said_with_the_reason(tmp_path):
    with Run.create(tmp_path, about(HARDWARE)) as run:
        record_case(run, VARIANTS[0], HARDWARE)
        record_case(run, VARIANTS[1], replace(HARDWARE, samples=70))
        record_case(run, replace(VARIANTS[2], baseline="gone"), HARDWARE)
    notes = found(run.path)
    assert "int8 with float32: different inputs: 60 against 70" in notes["Not compared"].text
    assert "its baseline gone was not measured" in notes["No baseline"].text


def pool(tmp_path, setting, units=("A", "B"), more=()):
    """Write a run whose first variants were measured on one board of a pool each, and cases of single devices."""
    with Run.create(tmp_path, about(setting)) as run:
        for made, uid in zip(VARIANTS, units, strict=False):
            place = {"device": f"bench-{uid}", "board_uid": uid, "pool": "nano33"}
            record_case(run, made, replace(setting, **place))
        for made, uid in more:
            record_case(run, made, replace(setting, device=f"bench-{uid}", board_uid=uid))
    return load_results(run.path)


def caveats_of(results):
    group = next(group for group in grouped(results) if group.several)
    return {caveat.title: caveat for caveat in caveats(group, compare_variants(results))}


def test_several_units_are_said_once_with_their_number(tmp_path):
    caveat = caveats_of(pool(tmp_path, HARDWARE, ("A", "B", "C")))["Several units"]
    assert caveat.tone == "warning"
    assert "measured on 3 units of the board: differences between units (clock source, supply" in caveat.text
    assert "is not known, as no image was measured on several units" in caveat.text


def test_the_spread_between_units_is_named_where_an_image_tells(tmp_path):
    slow = replace(VARIANTS[0], ticks=round(VARIANTS[0].ticks * 1.02))
    results = pool(tmp_path, HARDWARE, more=[(VARIANTS[0], "C"), (slow, "D")])
    results.cases["image_sha256"] = results.cases["variant"]
    text = caveats_of(results)["Several units"].text
    assert "Latency: the same image differs by up to 2 % on 3 units. A smaller difference" in text


def test_one_unit_of_a_pool_and_virtual_boards_need_no_such_caveat(tmp_path):
    assert "Several units" not in found(pool(tmp_path / "a", HARDWARE, ("A", "A")).stored[0].path)
    assert "Several units" not in caveats_of(pool(tmp_path / "b", Setting(samples=60)))


@pytest.mark.slow
def test_virtual_boards_that_disagree_are_an_error_at_the_top(tmp_path):
    setting = Setting(samples=60)
    other = replace(VARIANTS[0], ticks=VARIANTS[0].ticks + 1)
    results = pool(tmp_path, setting, more=[(other, "C")])
    assert "Boards disagree" not in caveats_of(results)  # it is another image
    results.cases["image_sha256"] = results.cases["variant"]
    caveat = next(one for one, _ in compose(results).caveats if one.title == "Boards disagree")
    assert caveat.tone == "failed"
    assert "float32: the same image gave other instructions on bench-C than on bench-A" in caveat.text


def test_a_run_with_injected_faults_is_said_to_be_no_measurement(tmp_path):
    with Run.create(tmp_path, with_faults()) as run:
        record_case(run, VARIANTS[0], HARDWARE)
    caveat = found(run.path)["Faults injected"]
    assert (caveat.text, caveat.tone) == ("On purpose: serial:drop. This run is no measurement.", "failed")


def test_a_run_with_injected_faults_gives_way_to_an_older_one_without(tmp_path):
    good = record_run(tmp_path, VARIANTS[:1], HARDWARE)
    with Run.create(tmp_path, with_faults()) as bad:
        record_case(bad, VARIANTS[0], HARDWARE)
    (group,) = grouped(load_results(tmp_path))
    assert (group.run.name, group.past["run"].tolist()) == (good.name, [good.name])
    assert bad.path.name in found(tmp_path)["Runs left out"].text


def with_faults():
    content = about(HARDWARE)
    return {**content, "config": {**content["config"], "options": {"virtual_faults": ["serial:drop"]}}}
