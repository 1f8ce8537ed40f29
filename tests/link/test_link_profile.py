"""Inferences measured layer by layer, by real firmware on the virtual board, over good lines and bad ones."""

from __future__ import annotations

import struct
import zlib

import pytest

from fakes.lines import CreditWatch, NoisyLine, OlderAgent
from harness.boards.opening import open_board
from harness.errors import LinkError, MeasurementError, NoLayersError, UnknownRequestError
from harness.image.elf import load_image
from harness.link.client import Link
from harness.link.frame import Decoder, Reply, Request, encode_header
from harness.link.messages import parse_profile, parse_result
from harness.link.timing import Timing
from harness.profile.inputs import random_input

QUICK = Timing(boot=0.3, reply=0.3, inference=5.0, quiet=0.05, step=0.03)
#: Instructions by which the sum of the layers and an ordinary inference may differ (docs/link-protocol.md).
BOUND = 16


@pytest.fixture(scope="module")
def image(prebuilt):
    return load_image(prebuilt / "fashion_mnist_int8.elf")


@pytest.fixture(scope="module")
def data(image):
    return random_input(image.card.input).data


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
def link(board, line):
    connected = Link(line, board.name)
    connected.connect()
    return connected


@pytest.fixture
def misbehaving(nano33, root):
    """Start one of the images that fail, and return its link and an input."""
    opened = []

    def start(kind):
        image = load_image(root / "tests" / "images" / f"{kind}.elf")
        opened.append(open_board(nano33, "virtual"))
        opened[-1].flash(image)
        line = opened[-1].link()
        line.drain()
        opened[-1].reset()
        link = Link(line, "nano33")
        link.connect()
        return link, bytes(image.card.input.nbytes)

    yield start
    for board in opened:
        board.close()


def answer(line, decoder, kind):
    """The next frame of that kind."""
    for _ in range(1000):
        frame = decoder.next_frame()
        if frame is None:
            decoder.feed(line.read(4096, 1.0))
        elif frame.type == kind:
            return frame
    raise AssertionError(f"no {kind.name}")


def test_layers_add_up_to_an_ordinary_inference(link, data, image):
    ordinary = link.infer(data, 2)
    profile = link.profile(data)
    assert profile.output == ordinary.output
    assert len(profile.layers) == len(image.layers)
    assert min(profile.layers) > 0
    assert 0 <= profile.total - sum(profile.layers) <= BOUND
    assert abs(profile.total - ordinary.ticks[0]) <= BOUND


def test_layers_repeat_to_the_instruction(link, data):
    first = link.profile(data)
    link.infer(bytes(len(data)))
    assert link.profile(data) == first


def test_layers_follow_the_input(link, data):
    flat = link.profile(bytes(len(data)))
    assert flat.output != link.profile(data).output
    assert flat.output == link.infer(bytes(len(data))).output


def test_layers_are_what_the_emulator_counts_in_their_functions(board, link, data, image):
    """Functions that one layer alone uses: the board's counter against the emulator's."""
    ticks = {spec.kernel: link.profile(data).layers[spec.layer] for spec in image.layers}
    board.twin.clear_profile()
    link.profile(data)
    blocks = board.twin.profile()
    kernel_of = {name: name for name in ("hil_max_pool_s8", "hil_mean_s8", "hil_softmax_s8")}
    kernel_of["exp_negative"] = "hil_softmax_s8"  # which alone calls it
    counted = dict.fromkeys(kernel_of.values(), 0)
    for address, instructions, executions in zip(
        blocks.address.tolist(), blocks.instructions.tolist(), blocks.executions.tolist(), strict=True
    ):
        if (name := image.function_at(address)) in kernel_of:
            counted[kernel_of[name]] += instructions * executions
    for name, instructions in counted.items():
        # The rest is the call: arguments, and the branch.
        assert 0 <= ticks[name] - instructions <= 8, name


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "rate"),
    [("flip", 3e-4), ("drop", 1e-3), ("double", 1e-3)],
    ids=["bit flips", "lost bytes", "doubled bytes"],
)
def test_a_bad_line_changes_no_profile(board, line, link, data, fault, rate):
    clean = link.profile(data)
    noisy = NoisyLine(line, 1, **{fault: rate})
    bad = Link(noisy, board.name, QUICK, attempts=100)
    bad.connect(after_reset=False)
    assert [bad.profile(data) for _ in range(5)] == [clean] * 5
    assert noisy.damaged > 0
    assert bad.counters.retransmissions + bad.counters.recoveries > 0


def test_host_sends_no_more_than_the_device_granted(board, line, data):
    watch = CreditWatch(line)
    link = Link(watch, board.name)
    link.connect()
    link.profile(data)
    assert watch.overdrawn == 0


def test_a_repeated_request_is_measured_again(line, link, data):
    first = link.profile(data)
    decoder = Decoder()
    for _ in range(2):
        line.write(encode_header(Request.PROFILE, 77))
        frame = answer(line, decoder, Reply.PROFILE)
        assert (frame.seq, parse_profile(frame.payload, 10)) == (77, (zlib.crc32(data), first))


def test_a_repeated_run_does_not_get_the_layers_for_its_ticks(line, link, data):
    expected = link.infer(data)
    decoder = Decoder()
    for request, reply in ((Request.RUN, Reply.RESULT), (Request.PROFILE, Reply.PROFILE), (Request.RUN, Reply.RESULT)):
        line.write(encode_header(request, 300 if request is Request.RUN else 301, 0, 1))
        frame = answer(line, decoder, reply)
    assert frame.seq == 300
    assert parse_result(frame.payload, 10)[1] == expected


def test_an_agent_that_knows_no_profiles(board, line, data):
    link = Link(OlderAgent(line), board.name)
    link.connect()
    with pytest.raises(UnknownRequestError, match=r"nano33: the firmware refuses PROFILE .*unknown type"):
        link.profile(data)
    assert link.echo(b"still there") == b"still there"


def test_an_engine_without_layers(misbehaving):
    link, data = misbehaving("fault")
    with pytest.raises(NoLayersError, match="nano33: the engine in the firmware doesn't tell one layer from another"):
        link.profile(data)
    assert link.infer(data).output[0] == 1


def test_more_layers_than_the_agent_has_room_for(misbehaving):
    link, data = misbehaving("many")
    before = link.infer(data, 128)
    with pytest.raises(MeasurementError, match="more layers than the agent has room for"):
        link.profile(data)
    assert link.infer(data, 128) == before


def test_a_layer_that_is_never_marked_has_nothing(misbehaving):
    link, data = misbehaving("wrong")
    layers = link.profile(data).layers
    assert len(layers) == 3
    assert layers[0] > 0
    assert layers[1:] == (0, 0)


def test_an_inference_that_fails_has_no_profile(misbehaving):
    link, data = misbehaving("fail")
    link.infer(data, 4)
    with pytest.raises(MeasurementError, match="the engine reports that the inference failed"):
        link.profile(data)


def test_a_counter_that_went_round_is_noticed(misbehaving):
    link, data = misbehaving("long")
    with pytest.raises(MeasurementError, match="32-bit counter went round"):
        link.profile(data)


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        (bytes(8), "PROFILE of 8 bytes, expected at least 12"),
        (struct.pack("<3I", 0, 9, 0) + bytes(10), "for 0 layers"),
        (struct.pack("<4I", 0, 9, 1, 9) + bytes(9), "for 1 layers, expected 26"),
        (struct.pack("<5I", 0, 9, 2, 9, 1) + bytes(10), "PROFILE of 9 ticks whose layers have 10"),
    ],
)
def test_payloads_that_are_no_profile(payload, words):
    with pytest.raises(LinkError, match=words):
        parse_profile(payload, 10)
