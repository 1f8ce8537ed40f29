"""One process and several boards: every reply is right, and everything that the benchmark prints was counted."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from dataclasses import replace

import pytest

from farm_link import Line, Outcome, busy_s, kernel_threads_s, main, measure, verdict
from harness.boards.serial_stream import SerialStream
from harness.link.client import Link
from pty_boards import BAUD, PtyBoard, Shape, build, expected_reply

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="the boards of this benchmark need Linux"),
    pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc isn't installed"),
]
SMALL = Shape(784, 10)


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    """Compile into a folder of the test's own, so that what is cached can't hide a broken build."""
    folder = tmp_path_factory.mktemp("boards")
    return lambda shape: build(shape, folder)


@pytest.fixture
def board(programs):
    with PtyBoard(programs(SMALL)) as running:
        yield running


@pytest.fixture
def stream(board):
    opened = SerialStream("pty", board.port, BAUD)
    yield opened
    opened.close()


def test_four_boards_and_one_process():
    found = measure(SMALL, 4, 2.0)
    assert (found.wrong, found.repaired, found.ungranted_bytes) == (0, 0, 0)
    assert found.inferences > 4 * 50
    assert len(found.lines) == 4
    for line in found.lines:
        # A line carries 126 inferences/s at most; a busy computer makes it fewer, but never more.
        assert 20 < line.inferences_per_s < 127
        assert 0.2 < line.to_board <= 1.0
        # 3,944 bytes to the board and 114 from it for five inferences, so the two lines agree with what came back.
        assert line.to_board * 1e5 == pytest.approx(3944 / 5 * line.inferences_per_s, rel=0.1)
        assert line.from_board / line.to_board == pytest.approx(114 / 3944, rel=0.1)
        assert 0 < line.host_idle < 1
        assert 0 <= line.fake_idle < 1
        assert line.to_board + line.host_idle + line.fake_idle < 1.0
    assert 0 < found.host_user_cpu <= found.host_cpu < 2
    assert found.fakes_cpu > 0
    assert found.kernel_cpu >= 0


def test_boards_keep_to_their_cores(programs):
    core = max(os.sched_getaffinity(0))
    with PtyBoard(programs(SMALL), {core}) as board:
        assert os.sched_getaffinity(board._process.pid) == {core}
    with PtyBoard(programs(SMALL), set()) as board:  # a computer of one core has no other for them
        assert os.sched_getaffinity(board._process.pid) == os.sched_getaffinity(0)


def test_what_this_process_computes_is_no_time_of_the_kernels_threads():
    began, before, until = busy_s(), kernel_threads_s(), time.process_time() + 0.5
    while time.process_time() < until:
        pass
    after, busy = kernel_threads_s(), busy_s() - began
    assert busy > 0.3
    assert str(os.getpid()) not in after
    assert 0 <= sum(spent - before.get(number, 0.0) for number, spent in after.items()) <= busy - 0.3


def test_boards_keep_the_pace_of_the_line(board, stream):
    """784 bytes and what goes with them can't be faster than the line, however fast the host is."""
    link = Link(stream, "pty")
    link.connect(after_reset=False)
    inputs = [bytes([number]) * 784 for number in range(50)]
    before = board.counts()
    results = list(link.infer_each(inputs))
    spent = board.counts().now_s - before.now_s
    assert [(result.output, result.ticks[0]) for result in results] == [expected_reply(data, SMALL) for data in inputs]
    assert spent >= 50 * 784 * 1e-5
    assert link.counters.retransmissions == 0


def test_a_slow_host_is_seen(board, stream):
    """What the host waits before it sends is what the board counts."""
    link = Link(stream, "pty")
    link.connect(after_reset=False)
    before = board.counts()
    for _ in range(10):
        time.sleep(0.05)
        link.infer(bytes(784))
    after = board.counts()
    assert 0.5 < after.starved_s - before.starved_s < after.now_s - before.now_s
    assert after.longest_s >= 0.05


def test_a_byte_without_a_grant_is_lost_and_counted(board, stream):
    link = Link(stream, "pty")
    link.connect(after_reset=False)
    assert link.stats().receive_errors == 0
    stream.write(bytes(20))  # 16 are granted
    stream.drain()
    link.infer(bytes(784))
    assert link.stats().receive_errors == 4
    assert board.counts().ungranted_bytes == 4


def outcome(*shares, others=0.0):
    lines = tuple(Line(share, 0.1, 0.01, 0.0, 0.001, 100.0) for share in shares)
    return Outcome(lines, 1.0, 0.1, 0.05, 0.1, 0.1, others, 100, 0, 0, 0)


@pytest.mark.parametrize(("shares", "kept"), [((0.96, 0.951), True), ((0.96, 0.95), False), ((0.5, 0.96), False)])
def test_the_slowest_board_decides(shares, kept):
    told, line = verdict(SMALL, outcome(0.96), outcome(*shares))
    assert told is kept
    assert line.startswith("LINE RATE KEPT" if kept else "LINE RATE LOST")
    assert "DISTURBED" not in line


def test_the_verdict_says_who_let_the_slowest_line_idle():
    alone = replace(outcome(0.96), lines=(Line(0.96, 0.1, 0.02, 0.01, 0.001, 100.0),))
    slow, fast = Line(0.93, 0.1, 0.03, 0.025, 0.001, 97.0), Line(0.95, 0.1, 0.05, 0.0, 0.001, 99.0)
    kept, line = verdict(SMALL, alone, replace(alone, lines=(slow, fast)))
    assert not kept
    assert "slowest idle for the host +1.00 % of the time, for the fakes +1.50 %" in line


def test_a_busy_computer_is_told():
    quiet, busy = outcome(0.96), outcome(0.9, others=1.2)
    assert "DISTURBED, other programs took 1.2 cores" in verdict(SMALL, quiet, busy)[1]
    assert "DISTURBED" in verdict(SMALL, busy, quiet)[1]


def test_exit_code_and_file_agree_with_the_figures(tmp_path, capsys):
    file = tmp_path / "figures.json"
    code = 0
    try:
        main(["--boards", "2", "--seconds", "1", "--shape", "784x10", "--json", str(file)])
    except SystemExit as ended:
        code = ended.code
    printed = capsys.readouterr().out
    told = json.loads(file.read_text())
    alone, together = (told["figures"][0][key]["lines"] for key in ("alone", "together"))
    kept = min(line["to_board"] for line in together) >= 0.99 * alone[0]["to_board"]
    assert (len(alone), len(together)) == (1, 2)
    assert told["figures"][0]["kept"] is kept
    assert ("LINE RATE KEPT" if kept else "LINE RATE LOST") in printed
    runs = [told["figures"][0][key] for key in ("alone", "together")]
    clean = all(run["wrong"] == run["repaired"] == run["ungranted_bytes"] == 0 for run in runs)
    assert code == (0 if kept and clean else 1)
