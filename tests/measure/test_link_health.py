"""`hil doctor` on the link, on the virtual board."""

from __future__ import annotations

import pytest

from fakes.lines import NoisyLine
from harness.boards.start_image import start_image
from harness.link.client import Link
from harness.link.timing import Timing
from harness.measure.link_health import ClockSample, judge_clock, judge_throughput, link_findings, measure_clock


def test_a_clean_link(board, image):
    # A computer that is busy with other things is late, which is no fault of the link.
    link = Link(board.link(), board.name, Timing(boot=60.0, reply=60.0))
    findings = list(link_findings(board, link, start_image(board, image, link)))
    assert [finding.state for finding in findings] == ["ok", "ok", "optional"]
    echoes, carries, counter = (finding.text for finding in findings)
    assert echoes.endswith("bytes, 0 repaired frames")
    assert "which has no baud rate" in carries
    assert "the virtual board counts instructions, not time" in counter


def test_a_noisy_link_is_a_problem(board, image):
    info = start_image(board, image, Link(board.link(), board.name))
    line = NoisyLine(board.link(), seed=3, flip=1e-5)
    link = Link(line, board.name)
    link.connect(after_reset=False)
    finding = next(link_findings(board, link, info))
    assert line.damaged > 0
    assert finding.state == "problem"
    assert "repaired frames; check cable, ground and baud rate" in finding.text


def test_a_real_board_s_counter_is_held_against_the_clock(board, image):
    link = Link(board.link(), board.name)
    info = start_image(board, image, link)
    board.backend = "hardware"  # what the clock then says of an emulator is its own business
    carries, counter = list(link_findings(board, link, info))[1:]
    assert "of what 1,000,000 baud allow" in carries.text
    assert counter.text.startswith("counter: ")
    assert "s by the clock" in counter.text
    assert counter.state in ("ok", "problem")


def test_the_clock_sample_holds_only_the_further_inferences(board, image):
    link = Link(board.link(), board.name)
    info = start_image(board, image, link)
    sample = measure_clock(link, info, (1e-5, 1e-5))
    one = link.infer(bytes(info.input_bytes)).ticks[0]
    assert sample.ticks % one == 0  # the same input takes the same instructions each time
    assert sample.counter_s == pytest.approx(1.0, rel=0.1)
    assert sample.wall_s > 0


@pytest.mark.parametrize(
    ("wall", "ticks", "state", "words"),
    [
        (1.001, 64_000_000, "ok", "1.000 s at 64 MHz, 1.001 s by the clock"),
        (2.0, 64_000_000, "problem", "2.00 times as long"),
        (0.95, 64_000_000, "problem", "0.95 times as long"),
        (1.0, 0, "problem", "stands still"),
    ],
)
def test_the_counter_against_the_clock(wall, ticks, state, words):
    finding = judge_clock("a", ClockSample(wall, ticks, 64_000_000))
    assert finding.state == state
    assert words in finding.text


def test_an_answer_of_unknown_duration_condemns_no_counter():
    finding = judge_clock("a", ClockSample(1.5, 64_000_000, 64_000_000, unsure_s=0.5))
    assert finding.state == "optional"
    assert "not held against the clock" in finding.text


@pytest.mark.parametrize(
    ("elapsed", "state", "words"),
    [(0.85, "ok", "% of what 1,000,000 baud allow"), (5.0, "problem", "latency"), (0.3, "problem", "does not run at")],
)
def test_throughput_against_the_baud_rate(elapsed, state, words):
    # 16 echoes of 2,500 bytes are about 81,000 bytes on the line, 0.81 s at 1 Mbaud.
    finding = judge_throughput("a", 1_000_000, 2500, elapsed)
    assert finding.state == state
    assert words in finding.text


@pytest.mark.parametrize(
    ("over", "elapsed", "state", "words"),
    [
        ("usb", 0.2, "ok", "over the board's own USB"),
        ("usb", 2.0, "optional", "the UART at 1,000,000 baud would carry 100,000: is the board behind a hub"),
        ("probe", 0.2, "ok", "through the debug probe"),
        ("probe", 2.0, "optional", "else use `link: uart`"),
    ],
)
def test_throughput_of_other_links_is_held_against_the_uart(over, elapsed, state, words):
    finding = judge_throughput("a", 1_000_000, 2500, elapsed, over)
    assert finding.state == state
    assert words in finding.text
