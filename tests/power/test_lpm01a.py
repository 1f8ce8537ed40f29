import numpy as np
import pytest

from harness.errors import PowerError
from harness.power.base import join
from harness.power.judge import Plan
from harness.power.lpm01a import Lpm01a
from harness.power.lpm01a_decoder import AsciiDecoder, BinaryDecoder
from harness.power.virtual.lpm01a import Trouble, VirtualLpm01a, encode_ascii, encode_binary
from harness.power.windows import Job, measure
from power.scripted import BusyAfterwards, ScriptedBoard

FORMATS = [("ascii", 5_000), ("binary", 100_000)]
QUICK = Plan(window_s=0.5, samples=1000, windows=3, idle_s=0.1)


def made(kind, rate=1000):
    return kind("LPM01A", rate, 3.0, 0.05)


def windows(board, kind, rate, plan=QUICK, *, noise_a=0.0, trouble=None):
    with (
        VirtualLpm01a(board, noise_a=noise_a, trouble=trouble) as device,
        Lpm01a(device.port, "", 3.0, rate, binary=kind == "binary", simulated=True) as monitor,
    ):
        found, error = measure(monitor, Job(board.infer, board.info, [b""], board.ticks), plan, 0)
    if error is not None:
        raise error
    return found


def test_the_figures_of_the_manual_are_decoded():
    found = made(AsciiDecoder).feed(b"TimeStamp: 000s 000ms, buff 00%\r\n6409-07\r\n", final=True)
    assert found.current_a.tolist() == pytest.approx([640.9e-6])
    found = made(BinaryDecoder).feed(b"\xf0\xf3\x00\x00\x00\x00\x00\xff\xff\x52\xa0", final=True)
    assert found.current_a.tolist() == pytest.approx([640.9e-6], rel=1e-4)


@pytest.mark.parametrize(("decoder", "encode", "stamp"), [
    (AsciiDecoder, encode_ascii, lambda ms: b"TimeStamp: %03ds %03dms, buff 01%%\r\n" % divmod(ms, 1000)),
    (BinaryDecoder, encode_binary, lambda ms: b"\xf0\xf3" + ms.to_bytes(4, "big") + b"\x01\xff\xff"),
])  # fmt: skip
@pytest.mark.parametrize("piece", [1, 2, 3, 5000])
def test_any_pieces_give_the_same_samples_and_marks(decoder, encode, stamp, piece):
    truth = np.random.default_rng(0).uniform(1e-7, 5e-2, 300)
    data = stamp(0) + encode(truth[:200]) + stamp(200) + encode(truth[200:])
    found = made(decoder)
    chunk = join([*(found.feed(data[at : at + piece]) for at in range(0, len(data), piece)), found.take()])
    np.testing.assert_allclose(chunk.current_a, truth, rtol=3e-3)
    assert np.flatnonzero(chunk.logic).tolist() == [199]
    assert not chunk.lost.any()


def test_missing_samples_show_at_the_next_stamp():
    data = b"\xf0\xf3" + bytes(5) + b"\xff\xff" + encode_binary(np.full(100, 1e-3))
    stamp = b"\xf0\xf3" + (150).to_bytes(4, "big") + b"\x00\xff\xff"
    chunk = made(BinaryDecoder).feed(data + stamp, final=True)
    assert (len(chunk), chunk.lost.sum()) == (150, 50)


@pytest.mark.parametrize(("kind", "stamp"), [
    (BinaryDecoder, b"\xf0\xf3" + (2_000_000_000).to_bytes(4, "big") + b"\x00\xff\xff"),
    (BinaryDecoder, b"\xf0\xf3" + (10_000).to_bytes(4, "big") + b"\x00\xff\xff"),
    (AsciiDecoder, b"TimeStamp: 999999999s 999ms, buff 00%\r\n"),
])  # fmt: skip
def test_a_damaged_stamp_invents_no_samples(kind, stamp):
    found = made(kind)
    ascii_ = kind is AsciiDecoder
    first = b"TimeStamp: 000s 000ms, buff 00%\r\n" if ascii_ else b"\xf0\xf3" + bytes(5) + b"\xff\xff"
    data = first + (encode_ascii if ascii_ else encode_binary)(np.full(100, 1e-3))
    with pytest.raises(PowerError, match=r"a time stamp says .* where 0.100 s of samples have come"):
        found.feed(data + stamp)
    assert len(found.take()) == 100


def test_a_stamp_that_goes_back_is_damaged():
    data = b"\xf0\xf3" + bytes(5) + b"\xff\xff" + encode_binary(np.full(1000, 1e-3))
    with pytest.raises(PowerError, match=r"a time stamp says 0.001 s where 1.000 s"):
        made(BinaryDecoder).feed(data + b"\xf0\xf3" + (1).to_bytes(4, "big") + b"\x00\xff\xff")


def test_a_damaged_sample_is_beyond_the_range():
    found = made(BinaryDecoder).feed(b"\xf0\xf3" + bytes(5) + b"\xff\xff" + b"\x52\xa0\x02\xa0", final=True)
    assert found.over_range == 1


@pytest.mark.parametrize("data", [b"\xf0\xf3\x00\x00\x00\x00\x00\x12\xff", b"\xf0\x77"])
def test_damaged_bytes_are_named(data):
    with pytest.raises(PowerError, match="bytes were lost on the way"):
        made(BinaryDecoder).feed(data)
    with pytest.raises(PowerError, match="bytes were lost on the way"):
        made(AsciiDecoder).feed(b"64x9-07\r\n")


@pytest.mark.parametrize(("kind", "rate"), FORMATS)
@pytest.mark.parametrize("current_a", [3.3e-3, *(pytest.param(a, marks=pytest.mark.slow) for a in (4e-6, 20e-3))])
def test_energy_is_within_a_percent_of_the_truth(kind, rate, current_a):
    board = ScriptedBoard(current_a, current_a / 5)
    found = [window for window in windows(board, kind, rate, noise_a=current_a / 50) if not window.problem]
    assert len(found) == 3
    for window in found:
        assert window.energy_uj == pytest.approx(1e6 * 3.0 * current_a * board.inference_s, rel=0.01)
        assert window.energy_net_uj == pytest.approx(0.8e6 * 3.0 * current_a * board.inference_s, rel=0.02)


def test_idle_time_is_waited_for_by_the_board_s_own_time():
    found = windows(BusyAfterwards(3e-3, 1e-3), "binary", 100_000, Plan(window_s=0.1, windows=3, idle_s=0.1))
    assert sum(not window.problem for window in found) == 3  # without it, none


def test_lost_samples_are_never_scored():
    with pytest.raises(PowerError, match="samples"):
        windows(ScriptedBoard(3e-3, 1e-3), "binary", 100_000, trouble=Trouble(lost_samples=0.05))


def test_over_range_is_said():
    with pytest.raises(PowerError, match=r"beyond its range of 0\.05 A"):
        windows(ScriptedBoard(0.06, 1e-3), "binary", 100_000)


@pytest.mark.parametrize(("kind", "rate"), FORMATS)
def test_what_it_reports_is_passed_on(kind, rate):
    with pytest.raises(PowerError, match=r"it reports: .*supply short-circuit"):
        windows(ScriptedBoard(3e-3, 1e-3), kind, rate, trouble=Trouble(error="supply short-circuit"))


def test_a_refused_setting_is_named():
    with (
        VirtualLpm01a(ScriptedBoard(1e-3, 1e-4), trouble=Trouble(refuses="volt")) as device,
        pytest.raises(PowerError, match=r"'volt 3000m' was not acknowledged; it said: .*error volt 3000m"),
    ):
        Lpm01a(device.port, "", 3.0, 1000)


def test_a_rate_that_it_has_not_is_refused():
    with pytest.raises(PowerError, match="no sample rate of 100000 Hz in this format"):
        Lpm01a("/dev/null", "", 3.0, 100_000, binary=False)


def test_it_is_set_as_asked_and_given_back():
    with VirtualLpm01a(ScriptedBoard(1e-3, 1e-4)) as device, Lpm01a(device.port, "", 2.5, 20_000) as monitor:
        assert device.settings["volt"] == "2500m"
        assert device.settings["freq"] == "20k"
        assert device.settings["format"] == "bin_hexa"
        assert device.settings["eventsrc"] == "d7 fal"
        assert monitor.info.edges == "falling"


def test_unplugged_in_a_window_is_named():
    board = ScriptedBoard(3e-3, 1e-3)
    with VirtualLpm01a(board) as device, Lpm01a(device.port, "0042", 3.0, 100_000) as monitor:
        board.before_batch = device.close
        with pytest.raises(PowerError, match="LPM01A 0042: the port is gone"):
            measure(monitor, Job(board.infer, board.info, [b""], board.ticks), QUICK, 0)
