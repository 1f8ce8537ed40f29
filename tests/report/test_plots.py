from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pandas as pd
import pytest

from fakes.recorded_runs import VARIANTS, Made, Setting, record_history, record_run
from harness.report import plots
from harness.report.plots.canvas import legend_lines, svg, svg_file
from harness.store import load_results


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return load_results(record_run(tmp_path_factory.mktemp("plots"), setting=Setting(layers=True)))


@pytest.fixture(scope="module")
def hardware(tmp_path_factory):
    setting = Setting(device="nano33-a", backend="hardware", energy_uj=120, power_source="ppk2")
    return load_results(record_run(tmp_path_factory.mktemp("hardware"), VARIANTS[:3], setting))


def texts(figure):
    root = ET.fromstring(svg_file(figure))  # noqa: S314 (ours)
    return ["".join(node.itertext()) for node in root.iter("{http://www.w3.org/2000/svg}text")]


def drawn(results):
    return {
        "accuracy": plots.accuracy_against(results.cases),
        "ram": plots.ram_parts(results.cases, 262_144),
        "flash": plots.flash(results.cases, 983_040),
        "ticks": plots.ticks_distribution(results.samples, "instructions"),
        "layers": plots.layer_profile(results.layers, "instructions"),
    }


def test_every_plot_names_every_variant_and_is_the_same_file_every_time(results):
    again = drawn(results)
    for name, figure in drawn(results).items():
        said = texts(figure)
        assert [variant.name for variant in VARIANTS if variant.name not in said] == [], name
        assert svg_file(figure) == svg_file(again[name])


def test_a_plot_for_a_page_has_no_size_no_date_and_colours_that_the_page_can_change(results):
    text = svg(plots.accuracy_against(results.cases), prefix="p-", title="a < b")
    assert "<title>a &lt; b</title>" in text
    assert not re.search(r"<svg[^>]* (width|height)=", text)
    assert "<dc:date>" not in text
    assert set(re.findall(r"(?<=: )#[0-9a-f]{6}", text)) == set()
    assert "var(--series-0, #0072b2)" in text
    assert all(name.startswith("p-") for name in re.findall(r' id="([^"]+)"', text))
    ET.fromstring(text)  # noqa: S314 (ours)


def test_names_of_variants_are_text_and_never_markup_or_formulas(tmp_path):
    evil = '<script>$x_1$</script> & "co"'
    cases = load_results(record_run(tmp_path, [replace(VARIANTS[0], name=evil), VARIANTS[1]])).cases
    for figure in (plots.accuracy_against(cases), plots.ram_parts(cases), plots.flash(cases)):
        assert "<script>" not in svg(figure)
        assert any(text.startswith("<script>$x_1$") for text in texts(figure))


@pytest.mark.parametrize("column", ["ticks_median", "ram_peak_bytes", "flash_bytes", "flash_compressed_bytes"])
def test_accuracy_can_be_drawn_against_every_cost(results, column):
    assert texts(plots.accuracy_against(results.cases, column))


def test_axes_say_what_a_tick_is(results, hardware):
    assert any("instructions per inference" in text for text in texts(plots.accuracy_against(results.cases)))
    assert any("cycles per inference" in text for text in texts(plots.accuracy_against(hardware.cases)))
    assert any(
        "latency (median), ms" in text for text in texts(plots.accuracy_against(hardware.cases, "latency_us_median"))
    )


def test_estimates_stand_against_counted_cycles_and_never_against_instructions(results, hardware):
    cases = hardware.cases.assign(estimated_cycles_median=hardware.cases["ticks_median"] * [1.1, 0.9, 1.0])
    figure = plots.estimated_against_counted(cases)
    points = next(line for line in figure.axes[0].lines if line.get_marker() == "o")
    assert list(points.get_xdata()) == cases["ticks_median"].tolist()
    assert list(points.get_ydata()) == cases["estimated_cycles_median"].tolist()
    assert {variant.name for variant in VARIANTS[:3]} <= set(texts(figure))
    with pytest.raises(ValueError, match="an emulator counts instructions"):
        plots.estimated_against_counted(results.cases.assign(estimated_cycles_median=1e6))
    with pytest.raises(ValueError, match="no complete case has both"):
        plots.estimated_against_counted(hardware.cases)


def test_a_cost_that_is_none_is_refused(results):
    with pytest.raises(ValueError, match="'accuracy' is no cost; known are ticks_median"):
        plots.accuracy_against(results.cases, "accuracy")


def test_an_emulator_has_no_latency_to_draw(results):
    with pytest.raises(ValueError, match="no complete case has both accuracy and latency_us_median"):
        plots.accuracy_against(results.cases, "latency_us_median")


def test_rows_of_an_emulator_and_a_board_are_never_in_one_plot(results, hardware):
    cases = pd.concat([results.cases, hardware.cases])
    layers = pd.concat([results.layers, results.layers.assign(backend="hardware")])
    samples = pd.concat([results.samples.assign(device="x"), hardware.samples.assign(device="x")])
    for draw in (
        lambda: plots.accuracy_against(cases),
        lambda: plots.ram_parts(cases),
        lambda: plots.flash(cases),
        lambda: plots.history(cases, "ticks_median"),
        lambda: plots.layer_profile(layers),
        lambda: plots.ticks_distribution(samples),
    ):
        with pytest.raises(ValueError, match=r"rows differ in (device|backend) .* can't be compared"):
            draw()


def test_energy_of_two_power_monitors_is_refused(hardware):
    cases = hardware.cases.copy()
    cases.loc[0, "power_source"] = "simulated"
    with pytest.raises(ValueError, match="different power sources"):
        plots.accuracy_against(cases, "energy_uj")


def test_simulated_energy_is_called_so_on_its_axis(tmp_path, hardware):
    made = record_run(tmp_path, VARIANTS[:2], Setting(samples=20, energy_uj=9, power_source="simulated"))
    said = texts(plots.accuracy_against(load_results(made).cases, "energy_uj"))
    assert any(text.startswith("simulated energy") for text in said)
    assert any(
        text.startswith("energy (ppk2) per") for text in texts(plots.accuracy_against(hardware.cases, "energy_uj"))
    )


def test_a_ram_part_that_was_not_measured_is_named_and_gives_no_total(results):
    cases = results.cases.copy()
    cases.loc[0, "ram_stack_bytes"] = pd.NA
    said = texts(plots.ram_parts(cases, 262_144))
    assert "stack not measured" in said
    assert said.count("13.0 %") == 0
    assert sum("%" in text for text in said if "KiB" in text) == len(VARIANTS) - 1


def test_ram_says_its_share_of_the_board_or_is_drawn_to_its_full_width(results):
    assert "percentages: of the RAM of the board, 256 KiB" in texts(plots.ram_parts(results.cases, 262_144))
    assert "full width: RAM of the board, 40.0 KiB" in texts(plots.ram_parts(results.cases, 40_960))
    assert not any("%" in text for text in texts(plots.ram_parts(results.cases)))


def test_a_counter_that_always_says_the_same_is_said_to(results):
    said = texts(plots.ticks_distribution(results.samples, "instructions"))
    assert "always 2,609,482 instructions" in said
    assert sum(text.startswith("median ") for text in said) == len(VARIANTS) - 1


def test_one_variant_alone_has_a_bar_for_each_layer(results):
    rows = results.layers[results.layers["variant"] == "int8"]
    said = texts(plots.layer_profile(rows))
    assert "0 conv 2d 1x28x28x8" in said
    assert "5 softmax 1x10" in said


def test_a_legend_that_is_too_long_for_a_line_goes_on_in_the_next():
    names = ["depthwise conv 2d", "conv 2d", "fully connected", "max pool 2d", "softmax", "others"]
    assert legend_lines(names) == [[0, 1, 2], [3, 4, 5]]
    assert legend_lines(names[:2]) == [[0, 1]]


def test_rare_operators_share_a_colour(results):
    rows = results.layers[results.layers["variant"] == "int8"]
    many = pd.concat([rows.assign(operator=f"KIND_{n}", ticks=1000 - n, layer=n) for n in range(8)])
    said = texts(plots.layer_profile(many))
    assert "others" in said
    assert "kind 4" in said
    assert "kind 7" not in said


@pytest.mark.slow
def test_history_draws_changes_and_lets_the_unchanged_share_a_line(tmp_path):
    runs = record_history(tmp_path, [{}, {}, {"int8": 1.02}, {"int8": 1.02}])
    cases = load_results(tmp_path).cases
    plain = plots.history(cases, "ticks_median")
    assert {"int8", "9 variants"} <= set(texts(plain))
    marked = plots.history(cases, "ticks_median", [(runs[2].name, "int8")])
    assert svg_file(plain) != svg_file(marked)
    assert any(
        "change since the first run, points (more is better)" in t for t in texts(plots.history(cases, "accuracy"))
    )


def test_history_leaves_out_runs_on_other_inputs(tmp_path):
    record_run(tmp_path, VARIANTS[:2], Setting(samples=80))
    record_history(tmp_path, [{}, {}], Setting(samples=50))
    said = texts(plots.history(load_results(tmp_path).cases, "accuracy"))
    assert any(text.startswith("2 runs") for text in said)
    assert "10 variants" in said


def test_nothing_to_draw_is_an_error_and_not_an_empty_picture(results):
    for draw in (
        lambda: plots.accuracy_against(results.cases[:0]),
        lambda: plots.ram_parts(results.cases[:0]),
        lambda: plots.flash(results.cases[:0]),
        lambda: plots.ticks_distribution(results.samples[:0]),
        lambda: plots.layer_profile(results.layers[:0]),
        lambda: plots.history(results.cases[:0], "accuracy"),
    ):
        with pytest.raises(ValueError, match=": no "):
            draw()


def test_long_names_are_cut_and_not_written_over_figures(tmp_path):
    name = "a_variant_with_a_name_that_no_plot_has_room_for_because_it_goes_on_and_on"
    made = Made(name, "int8", None, 0.1, 1000, 100, 1000)
    cases = load_results(record_run(tmp_path, [made, VARIANTS[0]])).cases
    for figure in (plots.accuracy_against(cases), plots.ram_parts(cases, 262_144), plots.flash(cases, 983_040)):
        assert any(text.startswith("a_variant") and text.endswith("…") for text in texts(figure))


@pytest.mark.slow
@pytest.mark.parametrize(
    "file", sorted((Path(__file__).parents[2] / "docs" / "images").glob("plot-*.svg")), ids=lambda p: p.stem
)
def test_the_example_images_in_the_docs_are_drawn_by_the_plots(file, tmp_path_factory):
    from example_images import example_images

    folder = tmp_path_factory.getbasetemp() / "example-images"
    if not folder.exists():
        example_images(folder)
    assert texts_of(folder / file.name) == texts_of(file)


def texts_of(file):
    root = ET.fromstring(file.read_text(encoding="utf-8"))  # noqa: S314 (ours)
    return ["".join(node.itertext()) for node in root.iter("{http://www.w3.org/2000/svg}text")]


def test_boards_of_a_pool_are_in_one_plot(hardware):
    cases = hardware.cases.copy()
    for number in cases.index:
        cases.loc[number, ["device", "board_uid"]] = [f"bench-{number}", str(number)]
    with pytest.raises(ValueError, match="rows differ in device"):
        plots.flash(cases)
    plots.flash(cases.assign(pool="nano33"))
    with pytest.raises(ValueError, match="rows differ in board_uid"):
        plots.flash(cases.assign(device="bench", pool=None))
