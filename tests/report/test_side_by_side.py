"""What techniques do on several boards: every ratio is one of two cases on one board."""

from __future__ import annotations

import re

import numpy as np
import pytest

from harness.report.content import compose
from harness.report.page import render_markdown, render_page
from harness.report.pick import lines, picks
from harness.report.side_by_side import across_boards, shown
from harness.report.summary import render
from harness.store import load_results
from harness.store.results import plain_rows

#: Ticks of each variant on each board, made up so that no two boards have a ratio in common.
TICKS = {
    ("nano33", "hardware"): {"float32": 100_000, "int8": 41_000, "patched": 53_300},
    ("pico", "virtual"): {"float32": 9_000_000, "int8": 270_000, "patched": 280_000},
    ("b_l475e_iot01a", "virtual"): {"float32": 60_000, "patched": 33_000},
    ("microbit_v2", "virtual"): {},
}
RAM = {"float32": 36_000, "int8": 9_000, "patched": 4_500}
BASELINE = {"int8": "float32", "patched": "int8"}
TOO_LARGE = "x.tflite doesn't fit b_l475e_iot01a: RAM: it needs 111,840 B, there are 98,304 B: 13,536 B too many."
UNBUILT = "no image has been built for microbit_v2 (images/microbit_v2 holds none). With the cross compiler, `make`"


@pytest.fixture
def run(store):
    cases = []
    for (board, backend), ticks in TICKS.items():
        for variant, ram in RAM.items():
            case = {"device": board, "board": board, "backend": backend, "variant": variant}
            case |= {"baseline": BASELINE.get(variant), "ram_peak_bytes": ram, "board_uid": board}
            if variant in ticks:
                odd = variant == "float32" and board == "pico"  # two of its outputs are another
                crcs = [at + (odd and at < 2) * 1000 for at in range(30)]
                cases.append(case | {"ticks": np.arange(30) % 3 + ticks[variant], "crcs": crcs})
            else:
                cases.append(case | {"status": "skipped", "reason": TOO_LARGE if ticks else UNBUILT})
                del cases[-1]["ram_peak_bytes"]
    return store(cases=cases)


def ratios(*texts):
    """Every ratio that is named in some texts."""
    return set(re.findall(r"(?<![\w.])\d[\d,]*(?:\.\d+)?x(?!\w)", " ".join(texts)))


#: All that may be said: of a board's own medians, of RAM, and of flash, which is the same everywhere.
WITHIN = {
    shown(ticks[name] / ticks[base])
    for ticks in ({k: v + 1 for k, v in ticks.items()} for ticks in TICKS.values())
    for name, base in BASELINE.items()
    if {name, base} <= ticks.keys()
} | {"0.25x", "0.50x", "1.00x"}


def test_it_is_said_in_words(run):
    (found,) = across_boards(load_results(run))
    head, int8, patched, outputs, nothing = found.lines
    assert head.startswith("digits on nano33, pico")
    assert int8 == (
        "int8 against float32: 0.41x the measured cycles on nano33, 0.03x the instructions on pico; "
        "0.25x the peak RAM; nothing on b_l475e_iot01a: int8 is too large by 13,536 B of RAM."
    )
    assert "1.30x the measured cycles on nano33, 1.04x the instructions on pico; 0.50x the peak RAM" in patched
    assert outputs == (
        "Outputs are equal to the bit on all boards for 2 of 3 variants. "
        "float32 gave other outputs on pico (2 of 30 inferences), with the same predictions."
    )
    assert nothing == "Nothing was measured on microbit_v2: no image has been built."
    assert ratios(*found.lines) <= WITHIN


@pytest.mark.slow
def test_a_page_and_its_summary_hold_no_board_against_another(run):
    page = compose(load_results(run))
    words = page.boards[0].lines
    markdown = render_markdown(page)
    assert ratios(*words) < ratios(markdown) <= WITHIN
    assert words[1].replace("_", r"\_") in markdown
    html = render_page(page)
    assert all(f">{text}</th>" in html for text in ("nano33, measured cycles", "pico, instructions"))
    assert all(line in html.replace("&#39;", "'") for line in words[1:])


def test_a_terminal_has_one_table_grouped_by_board_and_one_line_for_what_was_skipped(run):
    text = render(plain_rows(load_results(run).cases), width=100, color=False)
    heads = [line.split() for line in text.splitlines() if re.match(r"\w+, (virtual|hardware) ", line)]
    assert heads == [
        ["b_l475e_iot01a,", "virtual", "instructions"],
        ["nano33,", "hardware", "cycles"],
        ["pico,", "virtual", "instructions"],
    ]
    assert text.count("board and variant") == 1
    assert " ".join(text.split()).count("3 cases skipped on microbit_v2: no image has been built") == 1
    assert "On b_l475e_iot01a: skipped: int8: too large by 13,536 B of RAM" in text
    assert {shown(float(ratio[:-1])) for ratio in ratios(text)} <= WITHIN
    narrow = render(plain_rows(load_results(run).cases), width=60, color=False)
    assert max(map(len, narrow.splitlines())) <= 60


def test_boards_of_one_kind_are_not_several(store):
    cases = [{"device": name, "variant": variant} for name in ("a", "b") for variant in ("float32", "int8")]
    assert across_boards(load_results(store(cases=cases))) == []


def test_picks_that_say_the_same_are_one_line(store):
    cases = [
        {"device": board, "board": board, "backend": "virtual", "variant": variant, "ticks": [ticks * more] * 30}
        for board, more in (("nano33", 1), ("pico", 7), ("microbit_v2", 1))
        for variant, ticks in (("float32", 1000), ("int8", 500))
    ]
    (line,) = lines(picks(load_results(store(cases=cases))))
    assert line == "digits on 3 boards, virtual backend, emulated: Ship int8; `hil report` says why on each."


@pytest.mark.parametrize(
    ("ratio", "text"),
    [(1.0, "1.00x"), (1.0004, "1.0004x"), (0.656, "0.66x"), (0.0252, "0.025x"), (12.34, "12.3x"), (1234.5, "1,234x")],
)
def test_how_a_ratio_reads(ratio, text):
    assert shown(ratio) == text
