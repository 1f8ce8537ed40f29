from __future__ import annotations

import re

import pytest

from harness.report.summary import render
from harness.schema import CASES


def row(variant, **columns):
    base = dict.fromkeys((column.name for column in CASES), None)
    base |= {
        "run": "r",
        "case": 0,
        "device": "nano33",
        "board": "nano33",
        "backend": "virtual",
        "counter": "instructions",
        "clock_hz": 64_000_000,
        "engine": "tinyml-hil",
        "suite": "fashion_mnist",
        "variant": variant,
        "technique": f"{variant} technique",
        "status": "complete",
        "samples": 1000,
        "accuracy": 0.912,
        "accuracy_low": 0.8929,
        "accuracy_high": 0.9281,
        "ticks_median": 8_000_000.0,
        "ticks_p95": 8_000_100,
        "ticks_min": 7_999_000,
        "ticks_max": 8_000_200,
        "flash_bytes": 123_456,
        "flash_compressed_bytes": 98_765,
        "ram_static_bytes": 2048,
        "ram_arena_bytes": 30_000,
        "ram_stack_bytes": 1044,
        "ram_heap_bytes": 0,
        "ram_peak_bytes": 33_092,
    }
    return {**base, **columns}


FLOAT = row("float32")
INT8 = row("int8", baseline="float32", ticks_median=2_000_000.5, case=1)


def line(text, variant, nth=0):
    return [found for found in text.splitlines() if found.startswith(f"{variant} ")][nth].split()


@pytest.mark.parametrize("width", [60, 80, 100, 140, 200])
def test_every_line_fits(width):
    text = render([FLOAT, INT8], width=width, color=False)
    assert max(len(found) for found in text.splitlines()) <= width
    assert "\x1b" not in text


def test_a_narrow_terminal_shows_no_technique_letter_by_letter_and_whole_headers():
    rows = [row("student_distilled_int8", device=f"b{number}", pool="nano33", case=number) for number in (1, 2)]
    text = render(rows, width=80, color=False)
    assert "technique" not in text
    assert line(text, "student_distilled_int8")[:2] == ["student_distilled_int8", "b1"]
    head = next(found for found in text.splitlines() if "peak RAM" in found)
    assert [part.strip() for part in re.split(r"[=+]", head)][1:] == ["static", "arena", "stack", "heap"]
    assert max(map(len, text.splitlines())) <= 80
    assert "technique" in render(rows, width=100, color=False)


def test_what_the_tables_say():
    text = render([FLOAT, INT8], width=80, color=False)
    assert "fashion_mnist on nano33, virtual backend, emulated" in text
    assert line(text, "int8") == ["int8", "int8", "technique", "1,000", "91.2", "%", "89.3", "to", "92.8", "%"]
    assert line(text, "float32", 1) == ["float32", "8,000,000", "8,000,100", "7,999,000", "8,000,200", "-"]
    assert line(text, "int8", 1)[1:] == ["2,000,000.5", "8,000,100", "7,999,000", "8,000,200", "0.250x"]
    assert line(text, "int8", 2)[1:] == ["123,456", "33,092", "2,048", "30,000", "1,044", "0"]
    assert "vs float32" in text
    assert "instructions per inference" in text


def test_compressed_flash_is_shown_where_there_is_room():
    text = render([FLOAT, INT8], width=100, color=False)
    assert line(text, "int8", 2)[1:] == ["123,456", "98,765", "33,092", "2,048", "30,000", "1,044", "0"]


def test_a_long_name_stays_whole():
    name = "student_distilled_int8"
    text = render([FLOAT, row(name, baseline="float32", case=1)], width=80, color=False)
    assert len([found for found in text.splitlines() if found.startswith(f"{name} ")]) == 3


def test_one_table_for_accuracy_and_counter_where_there_is_room():
    wide = render([FLOAT, INT8], width=170, color=False)
    assert "0.250x" in " ".join(line(wide, "int8"))
    assert "91.2 %" in " ".join(line(wide, "int8"))


@pytest.mark.parametrize(
    "other",
    [
        {"device": "b"},
        {"backend": "renode"},
        {"backend": "hardware", "counter": "cycles"},
        {"clock_hz": 1},
        {"engine": "another"},
        {"samples": 20},
        {"board_uid": "another"},
    ],
)
def test_a_ratio_needs_all_else_equal(other):
    assert "0.250x" in render([FLOAT, INT8], width=80, color=False)
    assert not re.search(r"\d\.\d+x", render([FLOAT, INT8 | other], width=80, color=False))


def test_an_emulator_says_so_and_hardware_does_not():
    assert "not cycles, and neither latency nor energy" in render([FLOAT], width=500, color=False)
    real = {"backend": "hardware", "counter": "cycles", "latency_us_median": 125_000.0, "latency_us_min": 124_000.5}
    text = render([FLOAT | real], width=80, color=False)
    assert "mulated" not in text
    assert "cycles per inference" in text
    assert "latency per inference, us" in text
    assert line(text, "float32", 2) == ["float32", "125,000", "-", "124,000.5", "-"]


def test_a_failed_case_has_a_reason_and_no_figures():
    failed = {name: None for name in FLOAT if name.startswith(("accuracy", "ticks", "flash", "ram"))}
    text = render([FLOAT, row("int8", **failed, status="failed", reason="no answer", samples=3)], width=80, color=False)
    assert line(text, "int8")[-3:] == ["3", "failed", "-"]
    assert "int8 failed: no answer" in text
    assert len([found for found in text.splitlines() if found.startswith("int8 ")]) == 2


def test_markup_in_names_is_only_text():
    text = render([FLOAT | {"technique": "[red]int8[/red]"}], width=100, color=False)
    assert "[red]int8[/red]" in text


def test_more_samples_give_more_digits():
    assert "91.20 %" in render([FLOAT | {"samples": 10_000}], width=80, color=False)


def farm(backend):
    counter = "cycles" if backend == "hardware" else "instructions"
    shared = {"pool": "nano33", "backend": backend, "counter": counter}
    base = row("float32", device="bench-1", board_uid="A", **shared)
    return [base, row("int8", device="bench-2", board_uid="B", baseline="float32", **shared)]


@pytest.mark.parametrize(("backend", "said"), [("hardware", 1), ("virtual", 0)])
def test_boards_of_a_pool_are_one_table_that_names_them(backend, said):
    text = " ".join(render(farm(backend), width=100, color=False).split())
    assert f"fashion_mnist on nano33 (2 boards: bench-1, bench-2), {backend} backend" in text
    assert "1.000x" in text
    assert re.search(r"int8 int8 technique bench-2 1,000", text)
    assert text.count("Measured on 2 units of the board") == said


def test_estimates_of_cycles_are_called_so_and_turned_into_no_time():
    known, unknown = "-7 to +3 % (integer code, zero wait states)", "not validated: float code"
    of_float = {"estimated_cycles_error": unknown, "estimated_cycles_code": "float"}
    ends = {"estimated_cycles_error_low": -0.07, "estimated_cycles_error_high": 0.03}
    of_integer = {"estimated_cycles_error": known, "estimated_cycles_code": "integer", **ends}
    floats = row("float32", estimated_cycles_median=16e6, **of_float)
    int8 = row("int8", baseline="float32", estimated_cycles_median=8e6, **of_integer)
    for width in (80, 200):
        text = " ".join(render([floats, int8], width=width, color=False).split())
        assert "ESTIMATED cycles per inference, not measured" in text
        assert "Estimated: no board was used, and no cycle was counted." in text
        assert " ms" not in text
    assert "float32 16,000,000 - - 2.00 -" in text
    assert "int8 8,000,000 - - 1.00 fewer, 0.40 to 0.62x" in text
    assert f"float32: error of the estimate: {unknown} int8: error of the estimate: {known}" in text
    assert "stimated" not in render([FLOAT, INT8], width=200, color=False)
    measured = {"backend": "hardware", "counter": "cycles", "estimated_cycles_error": known}
    board = render([row("int8", **measured, estimated_cycles_median=8.4e6)], width=200, color=False)
    assert line(board, "int8", 1)[:6] == ["int8", "8,400,000", "-", "-", "+5.0", "%"]  # of 8,000,000 counted
    assert f"\nerror of the estimate: {known}\n" in board
    assert "Estimated: the same image ran on the virtual board, too," in " ".join(board.split())
    asked = " ".join(render([floats, int8], width=200, color=False, estimated_time=True).split())
    assert "ESTIMATED milliseconds per inference, not measured, no latency" in asked
    assert f"float32 250 64 MHz not known ({unknown})" in asked
    assert "int8 125 64 MHz 121 to 134" in asked
    assert "It is no latency, and nothing was timed." in asked
