"""The conversation with real firmware on the virtual board, over good lines and bad ones."""

from __future__ import annotations

import itertools
import random
import time

import numpy as np
import pytest

from fakes.lines import CreditWatch, GarbageLine, LateLine, LyingLine, NoisyLine, SilentLine
from harness.boards.opening import open_board
from harness.errors import BoardResetError, ImageError, LinkError, MeasurementError
from harness.image.elf import load_image
from harness.link.chunk_size import ChunkSize
from harness.link.client import Link
from harness.link.frame import Reply, Request, encode_header
from harness.link.messages import parse_info
from harness.link.timing import Timing

QUICK = Timing(boot=0.3, reply=0.3, inference=5.0, quiet=0.05, step=0.03)


@pytest.fixture(scope="module")
def image(prebuilt):
    return load_image(prebuilt / "fashion_mnist_int8.elf")


@pytest.fixture(scope="module")
def inputs(suite, image):
    return [tensor.tobytes() for tensor in image.card.input.encode(suite.load_data(12).real())]


@pytest.fixture(scope="module")
def board(nano33, image):
    with open_board(nano33, "virtual") as opened:
        opened.flash(image)
        yield opened


@pytest.fixture
def line(board):
    """The line of a freshly reset board."""
    stream = board.link()
    stream.drain()
    board.reset()
    return stream


@pytest.fixture
def clean(board, line, inputs):
    """What a fault-free line gives."""
    link = Link(line, board.name)
    link.connect()
    results = list(link.infer_each(inputs))
    assert link.counters.retransmissions == 0
    line.drain()
    board.reset()
    return results


def test_handshake_says_what_runs(board, line, image):
    info = Link(line, board.name).connect()
    assert info.build_id == image.build_id
    assert info.chip_id == board.twin.chip_id
    assert (info.input_bytes, info.output_bytes) == (784, 10)
    assert info.counter == "DWT CYCCNT"
    assert info.counter_hz == board.kind.clock_hz
    assert info.nonce != 0


def test_attaching_to_a_running_board_needs_no_reset(board, line, image):
    first = Link(line, board.name).connect()
    second = Link(line, board.name).connect(after_reset=False)
    assert second.nonce == first.nonce
    assert second.build_id == image.build_id


@pytest.mark.slow
def test_streamed_and_single_inferences_agree(board, line, clean, inputs):
    link = Link(line, board.name)
    link.connect()
    assert [link.infer(data) for data in inputs] == clean


def test_counter_values_repeat_to_the_instruction(board, line, clean, inputs):
    link = Link(line, board.name)
    link.connect()
    assert list(link.infer_each(inputs)) == clean
    batch = link.infer(inputs[0], 5)
    assert len(batch.ticks) == 5
    assert set(batch.ticks) == {clean[0].ticks[0]}
    assert batch.output == clean[0].output


def test_no_input_at_all(board, line):
    link = Link(line, board.name)
    link.connect()
    assert list(link.infer_each([])) == []


def test_echo_and_stats(board, line):
    link = Link(line, board.name)
    link.connect()
    for size in (1, 4, 63, 784):
        data = np.random.default_rng(size).bytes(size)
        assert link.echo(data) == data
    stats = link.stats()
    assert stats.damaged_headers == stats.damaged_payloads == stats.receive_errors == 0
    assert 0 < stats.stack_used_bytes < stats.stack_bytes
    assert stats.heap_bytes == 0


def test_host_never_sends_more_than_the_device_granted(board, line, inputs, clean):
    watch = CreditWatch(line)
    link = Link(watch, board.name, max_chunk=300)
    link.connect()
    assert list(link.infer_each(inputs)) == clean
    assert [link.infer(data, 2).output for data in inputs[:3]] == [result.output for result in clean[:3]]
    assert watch.overdrawn == 0


@pytest.mark.parametrize(
    ("fault", "rate"),
    [("flip", 1e-4), ("drop", 3e-4), ("double", 3e-4)],
    ids=["bit flips", "lost bytes", "doubled bytes"],
)
@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_bad_line_changes_no_result(board, line, inputs, clean, fault, rate, seed):
    noisy = NoisyLine(line, seed, **{fault: rate})
    link = Link(noisy, board.name, QUICK)
    link.connect()
    assert list(link.infer_each(inputs)) == clean
    assert noisy.damaged > 0
    assert link.counters.retransmissions + link.counters.recoveries > 0


@pytest.mark.slow
def test_chunks_shrink_on_a_bad_line(board, line, inputs):
    noisy = NoisyLine(line, 3, flip=1e-3)
    link = Link(noisy, board.name, QUICK, attempts=200)
    link.connect()
    link.infer(inputs[0])
    assert link._runs.chunk.bytes < 784


@pytest.mark.parametrize("rate", [1e-6, 1e-5, 3e-5, 1e-4, 3e-4, 1e-3])
def test_the_chunks_of_a_bad_line_carry_nearly_as_much_as_the_best_size_would(rate):
    size, around, dice = 784, 60, random.Random(1)  # bytes of an input, and of the headers and CRCs of a chunk
    size_of_chunks = ChunkSize(4096)
    size_of_chunks.most = size
    offset = carried = sent = 0
    for _ in range(20_000):
        chunk = min(size_of_chunks.bytes, size - offset)
        damaged = dice.random() > whole(chunk + around, rate)
        size_of_chunks.note(damaged=damaged)
        sent += chunk + around
        if not damaged:
            carried += chunk
            offset = (offset + chunk) % size
    best = max(fixed(size, chunk, around, rate) for chunk in range(16, size + 1, 8))
    assert carried / sent > 0.85 * best


def whole(length, rate):
    """How likely so many bytes arrive undamaged, at this rate of wrong bits."""
    return (1 - rate) ** (8 * length)


def fixed(size, chunk, around, rate):
    """Which part of all bytes sent carries an input, if it travels in chunks of this size."""
    chunks = [min(chunk, size - offset) + around for offset in range(0, size, chunk)]
    return size / sum(length / whole(length, rate) for length in chunks)


@pytest.mark.parametrize("sent", [1, 7, 15, 16 + 3])
def test_device_that_lost_count_is_brought_back_over_the_wire(board, line, inputs, clean, sent):
    link = Link(line, board.name, QUICK)
    link.connect()
    line.write(encode_header(Request.PING, 1)[:15].ljust(sent, b"\0"))
    assert link.infer(inputs[0]) == clean[0]
    assert link.counters.recoveries > 0


@pytest.mark.slow
@pytest.mark.parametrize("sent", [0, 7, 15, None])
def test_a_device_whose_answers_come_late_is_brought_back_too(board, line, inputs, clean, sent):
    link = Link(LateLine(line, 3 * QUICK.step), board.name, QUICK)
    link.connect()
    if sent is None:
        link._wire.announce(Request.WRITE, link._wire.next_seq(), 784, 0)
    else:
        line.write(bytes(sent))
    link._wire.recover()
    assert link.infer(inputs[0]) == clean[0]


@pytest.mark.slow
def test_device_left_in_the_middle_of_a_payload(board, line, inputs, clean):
    link = Link(line, board.name, QUICK)
    link.connect()
    line.write(encode_header(Request.WRITE, 1, 700, 0))
    line.write(bytes(650))
    other = Link(line, board.name, QUICK)
    other.connect(after_reset=False)
    assert other.infer(inputs[0]) == clean[0]


def test_reset_in_the_middle_is_noticed(board, line, inputs):
    link = Link(line, board.name)
    link.connect()
    with pytest.raises(BoardResetError, match="nano33: the board was reset in the middle"):
        for number, _ in enumerate(link.infer_each(itertools.cycle(inputs))):
            if number == 3:
                board.reset()


def test_requests_that_the_device_refuses(board, line):
    link = Link(line, board.name, max_chunk=5000)
    link.connect()
    with pytest.raises(LinkError, match=r"refuses ECHO \(argument 0, 785 bytes\): out of range"):
        link.echo(bytes(785))
    assert link.echo(b"still there") == b"still there"


@pytest.mark.parametrize("count", [0, 129])
def test_batches_that_the_device_refuses(board, line, inputs, count):
    link = Link(line, board.name)
    link.connect()
    with pytest.raises(LinkError, match="out of range"):
        link.infer(inputs[0], count)


@pytest.mark.parametrize("count", [0, 1])
def test_an_answer_may_take_as_long_as_a_busy_host_needs(board, line, inputs, count):
    link = Link(LateLine(line, 0.1), board.name)
    link.connect()
    if count:
        assert len(link.infer(inputs[0], count).ticks) == count
    else:
        with pytest.raises(LinkError, match="out of range"):
            link.infer(inputs[0], count)
    assert link.counters.retransmissions == link.counters.recoveries == 0


def test_input_of_the_wrong_size(board, line):
    link = Link(line, board.name)
    link.connect()
    with pytest.raises(MeasurementError, match="783 bytes for a model that takes 784"):
        link.infer(bytes(783))


@pytest.mark.parametrize("nobody", [SilentLine(), GarbageLine()], ids=["silence", "garbage"])
def test_nobody_who_speaks_the_protocol(nobody):
    started = time.monotonic()
    with pytest.raises(LinkError, match=r"nano33: no ACK to PING.* Last bytes seen"):
        Link(nobody, "nano33", QUICK).connect()
    assert time.monotonic() - started < 60
    assert nobody.written < 500


def test_not_connected():
    with pytest.raises(LinkError, match="call connect"):
        Link(SilentLine(), "nano33").infer(b"")


def test_another_protocol_version():
    with pytest.raises(LinkError, match=r"speaks version 2 .* this harness 1"):
        parse_info(b"\x02\x00" + bytes(60), 1)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0, "took 0 ticks: the board's counter doesn't run"),
        (2**32 - 1, "took 4294967295 ticks, it says: that is a 32-bit counter that is stuck"),
        (2**32 - 7, "took 4294967289 ticks, it says: .* had counted less than the 7 ticks"),  # 0 - overhead
    ],
)
@pytest.mark.parametrize(("kind", "place"), [(Reply.RESULT, 12), (Reply.PROFILE, 4)])
def test_counts_that_no_running_counter_gives(board, line, inputs, kind, place, value, words):
    link = Link(LyingLine(line, kind, (place,), value), board.name)
    assert link.connect().counter_overhead == 7
    with pytest.raises((MeasurementError, LinkError), match=words if value or kind is Reply.RESULT else "PROFILE of 0"):
        if kind is Reply.RESULT:
            link.infer(inputs[0], 2)  # the second count is the wrong one
        else:
            link.profile(inputs[0])


def test_the_largest_count_that_a_counter_can_give(board, line, inputs):
    link = Link(LyingLine(line, Reply.RESULT, (8,), 2**32 - 9), board.name)
    link.connect()
    assert link.infer(inputs[0]).ticks == (2**32 - 9,)


@pytest.mark.parametrize(
    ("place", "value", "words"),
    [
        (4, 0, "announces a counter of 0 Hz"),
        (8, 2**32 - 3, "measuring nothing takes 4294967293 ticks of a counter of 64000000 Hz"),
        (8, 64_001, "measuring nothing takes 64001 ticks"),
        (20, 0, "announces chunks of 0 bytes"),
        (24, 0, "announces 0 inferences"),
        (0, 1 | 9 << 16 | 20 << 24, r"counts with something unknown \(counter 9\)"),
    ],
)
def test_announcements_that_nothing_can_be_measured_with(board, line, place, value, words):
    with pytest.raises(ImageError, match=words):
        Link(LyingLine(line, Reply.INFO, (place,), value), board.name).connect()
