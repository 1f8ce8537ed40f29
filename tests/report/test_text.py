from __future__ import annotations

import json

from harness.report.compare import Policy
from harness.report.decide import Match, compare_sides
from harness.report.frame import Comparison
from harness.report.gate import check_limits, parse_limits
from harness.report.text import plain_comparison, render_comparison, render_gate
from harness.text.escape import csv_text, printable, xml_text


def comparison(a, b):
    rows, repeat = compare_sides([Match(a, b, ("accuracy", "ticks", "latency", "flash"))], Policy())
    alone = ("digits/new: not in the baseline", "digits/old on nano33 of run x: not in the baseline")
    return Comparison("runs", "run a", "run b", rows, repeat, alone, Policy())


def test_a_comparison_as_text(side):
    found = comparison(side(backend="virtual", flash_bytes=100), side([2000] * 30, backend="virtual", flash_bytes=10))
    text = render_comparison(found, width=120, color=False)
    assert "run b against run a" in text
    assert "digits on nano33, virtual backend, emulated" in text
    assert next(line.split() for line in text.splitlines() if "instructions" in line)[:6] == (
        ["instructions", "1,000", "2,000", "+100.00", "%", "exact"]
    )
    assert "their ratio is no ratio of latency" in text
    assert "Not in the baseline: digits/new, digits/old on nano33." in text
    assert text.splitlines()[-1] == "1 worse, 1 better, 1 same."


def test_repeatability_of_boards_is_shown(side):
    text = render_comparison(comparison(side(), side()), width=100, color=False)
    assert "latency, us" in text
    assert "repeats to 0 % or better; drift none; 0 % outliers" in text


def test_no_line_is_wider_than_the_terminal(side):
    found = comparison(side(variant="v" * 40), side([3000] * 30, variant="v" * 40))
    for width in (80, 120):
        assert max(len(line) for line in render_comparison(found, width=width, color=False).splitlines()) <= width


def test_strings_of_a_board_can_not_move_the_cursor(side):
    found = comparison(side(), side(run="b", status="failed", reason="\x1b[2Jdead\x9b\u202e"))
    text = render_comparison(found, width=120, color=False)
    assert "\x1b" not in text
    assert "\\x1b[2Jdead\\x9b\\u202e" in text


def test_nothing_to_compare_is_said():
    nothing = Comparison("runs", "a", "b", (), (), (), Policy())
    assert "There is nothing to compare." in render_comparison(nothing, width=80, color=False)


def test_json_is_json(side):
    found = comparison(side(flash_bytes=1), side(flash_bytes=2))
    gate = check_limits(found, parse_limits("flash>0"))
    content = json.loads(json.dumps(plain_comparison(found, gate), allow_nan=False))
    assert content["rows"][0]["metric"] == "accuracy"
    assert content["gate"]["outcome"] == "regression"
    assert content["gate"]["exit_code"] == 1
    assert content["policy"]["level"] == 0.95


def test_the_gate_in_words(side):
    gate = check_limits(comparison(side(flash_bytes=1), side(flash_bytes=2)), parse_limits("flash>0,ticks>1%"))
    lines = render_gate(gate)
    assert lines[0] == "REGRESSION: flash>0: digits/int8 on nano33: +1 bytes (same within 64 bytes)"
    assert lines[-1] == "Gate: regression; 1 of 2 checks passed."


def test_escapes():
    assert printable("a\tb\nc\rd") == "a\tb\nc\\x0dd"
    assert xml_text("a\x00\ufffe\ud800é") == "a\\x00\\ufffe\\ud800é"
    assert [csv_text(text) for text in ("=1+1", "@x", "-3", "safe", "a=b")] == ["'=1+1", "'@x", "'-3", "safe", "a=b"]
