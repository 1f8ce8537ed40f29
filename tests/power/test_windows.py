import time

import numpy as np
import pytest

from harness.errors import LinkError, MeasurementError, PowerError
from harness.power.base import Chunk, MonitorInfo
from harness.power.judge import Plan, Work, judge
from harness.power.ppk2 import Ppk2
from harness.power.pulses import PulseFinder
from harness.power.virtual.ppk2 import Trouble, VirtualPpk2
from harness.power.windows import Job, batches, measure
from power.scripted import BusyAfterwards, ScriptedBoard

QUICK = Plan(window_s=0.2, samples=1000, windows=3, idle_s=0.1)
VOLT = 3.0
SLOWLY = (20e-6, 49e-6, 1e-3, 20e-3)


def windows(board, plan=QUICK, *, noise_a=0.0, trouble=None, sync_input=0):
    with (
        VirtualPpk2(board, noise_a=noise_a, trouble=trouble) as device,
        Ppk2(device.port, "", VOLT, "source", simulated=True) as monitor,
    ):
        found, error = measure(monitor, Job(board.infer, board.info, [b""], board.ticks), plan, sync_input)
    if error is not None:
        raise error
    return found


def used(found):
    return [window for window in found if not window.problem]


@pytest.mark.parametrize(
    "current_a", [4e-6, *(pytest.param(a, marks=pytest.mark.slow) for a in SLOWLY), 300e-6, 4.9e-3]
)
def test_energy_is_within_a_percent_of_the_truth(current_a):
    board = ScriptedBoard(current_a, current_a / 2)
    truth = 1e6 * VOLT * current_a * board.inference_s
    net = truth / 2
    for window in used(windows(board, noise_a=current_a / 50)):
        assert window.energy_uj == pytest.approx(truth, rel=0.01)
        assert window.energy_net_uj == pytest.approx(net, rel=0.02)
        assert window.current_a == pytest.approx(current_a, rel=0.01)
        assert window.capture.before.current_a == pytest.approx(current_a / 2, rel=0.01)
        assert window.capture.lost == 0


@pytest.mark.parametrize("current_a", [3.3e-3, *(pytest.param(a, marks=pytest.mark.slow) for a in (4e-6, 20e-3))])
def test_with_lost_samples_energy_is_within_two_percent_and_the_loss_is_known(current_a):
    board = ScriptedBoard(current_a, current_a / 10)
    found = windows(board, noise_a=current_a / 50, trouble=Trouble(lost_samples=0.005))
    for window in used(found):
        assert window.energy_uj == pytest.approx(1e6 * VOLT * current_a * board.inference_s, rel=0.02)
        share = window.capture.lost / window.capture.samples
        assert 0.003 < share < 0.007
        assert not any(pulse.damaged for pulse in window.capture.pulses)


@pytest.mark.parametrize(("gone", "damaged"), [(999, True), (1000, False), (1001, False), (1999, True), (2001, False)])
def test_a_window_with_a_sample_lost_before_an_edge_is_never_used(gone, damaged):
    logic, lost = np.zeros(3000, np.uint8), np.zeros(3000, np.bool_)
    logic[1000:2000] = 1
    lost[gone] = True
    finder = PulseFinder(0, 500)
    finder.feed(Chunk(np.where(logic == 1, 3e-3, 1e-3), 3.0, logic, lost))
    work = Work(1, 10, 10 * 64_000, 64_000_000, 1)
    info = MonitorInfo("ppk2", "", 100_000, 3.0, simulated=True)
    window = judge(0, work, finder.finish(), info, Plan(), 0)
    assert window.problem == ("damaged edge" if damaged else "")


@pytest.mark.slow
def test_windows_with_damaged_edges_are_repeated():
    board = ScriptedBoard(3e-3, 1e-4)
    found = windows(board, Plan(window_s=0.2, windows=5, idle_s=0.1, max_lost=0.2), trouble=Trouble(lost_samples=0.05))
    assert all(not pulse.damaged for window in used(found) for pulse in window.capture.pulses)
    assert len(used(found)) == 5


def test_too_many_lost_samples_end_the_measurement():
    with pytest.raises(PowerError, match=r"% of the samples were lost, 1 % are allowed"):
        windows(ScriptedBoard(3e-3, 1e-4, inference_s=0.1), trouble=Trouble(lost_samples=0.03))


def test_lost_bytes_are_survived():
    board = ScriptedBoard(3e-3, 1e-3)
    found = windows(board, trouble=Trouble(lost_bytes=1e-4))
    assert any(window.capture.lost for window in found)
    for window in used(found):
        assert window.energy_uj == pytest.approx(1e6 * VOLT * 3e-3 * 1e-3, rel=0.01)


def test_a_wrong_clock_is_an_error_with_both_figures():
    board = ScriptedBoard(3e-3, 1e-3, clock=1.02)
    with pytest.raises(MeasurementError, match=r"by the monitor's clock and .* by the board's counter at 64 MHz"):
        windows(board)


def test_a_clock_that_is_right_by_the_tolerance_passes():
    assert len(used(windows(ScriptedBoard(3e-3, 1e-3, clock=1.004)))) == 3


def test_missing_sync_says_where_to_connect_it():
    with pytest.raises(PowerError, match="no edge came on D0, but the board ran 2 batches; connect the sync pin"):
        windows(ScriptedBoard(3e-3, 1e-3, sync_bit=0))


def test_sync_on_another_input_is_named():
    with pytest.raises(PowerError, match=r"set sync_input: there were edges on another input \(4 on D3\)"):
        windows(ScriptedBoard(3e-3, 1e-3, sync_bit=8))


def test_edges_without_a_change_of_the_current_are_swapped_wires():
    with pytest.raises(PowerError, match=r"the current is 1000.* uA during inferences and 1000.* uA without; does it"):
        windows(ScriptedBoard(1e-3, 1e-3))


def test_an_extra_edge_is_a_loose_wire():
    board = ScriptedBoard(3e-3, 1e-3)

    def twice():
        board.before_batch = lambda: None
        board.infer(b"", 3)
        board.before_batch = twice

    board.before_batch = twice
    with pytest.raises(PowerError, match="went high 4 times on D0, but the board ran 2 batches"):
        windows(board)


def test_over_range_is_said():
    with pytest.raises(PowerError, match="beyond its range of 1 A"):
        windows(ScriptedBoard(1.5, 1e-3))


def test_a_window_that_disagrees_with_the_others_is_repeated():
    board = ScriptedBoard(3e-3, 1e-3)
    calls = []

    def second_window_draws_more():
        calls.append(1)
        board.running_a = 3.3e-3 if len(calls) in (3, 4) else 3e-3

    board.before_batch = second_window_draws_more
    found = windows(board)
    assert [window.problem for window in found] == ["", "spread", "", ""]
    assert "from the median of the windows" in found[1].reason


def test_a_monitor_unplugged_in_a_window_is_named():
    board = ScriptedBoard(3e-3, 1e-3)
    with VirtualPpk2(board) as device, Ppk2(device.port, "C0FFEE", VOLT, "source", simulated=True) as monitor:
        board.before_batch = device.close
        with pytest.raises(PowerError, match="PPK2 C0FFEE: the port is gone, was it unplugged"):
            measure(monitor, Job(board.infer, board.info, [b""], board.ticks), QUICK, 0)


def test_windows_are_long_enough_and_batches_alike():
    plan = Plan(window_s=10, samples=1000)
    sizes = batches(plan, 0.01, 100_000, 128)
    assert sum(sizes) * 0.01 >= 10
    assert max(sizes) <= 128
    assert max(sizes) - min(sizes) <= 1
    assert sum(batches(plan, 0.01, 10, 128)) * 0.01 * 10 >= 1000
    assert batches(plan, 30.0, 100_000, 128) == [1]


def test_raw_samples_reach_the_file_whole():
    board = ScriptedBoard(3e-3, 1e-3)
    written = {}

    class Raw:
        def __init__(self, number):
            self.name, self.parts = f"w{number}", written.setdefault(number, [])

        def write(self, chunk):
            self.parts.append(chunk.current_a)

        def close(self):
            self.parts.append(None)

    with VirtualPpk2(board) as device, Ppk2(device.port, "", VOLT, "source", simulated=True) as monitor:
        found, _ = measure(
            monitor,
            Job(board.infer, board.info, [b""], board.ticks, lambda number, _info, _sync: Raw(number)),
            QUICK,
            0,
        )
    for window in found:
        *parts, end = written[window.number]
        assert end is None
        assert len(np.concatenate(parts)) == window.capture.samples
        assert window.file == f"w{window.number}"


def test_a_board_that_does_not_idle_alike_before_and_after_is_not_used():
    board = ScriptedBoard(3e-3, 1e-3)

    def busy_after():
        board.idle_a = 2e-3 - board.idle_a + 0.5e-3

    board.before_batch = busy_after
    with pytest.raises(PowerError, match=r"idle current was .* uA before the inferences and .* uA after"):
        windows(board, Plan(window_s=0.05, windows=3, idle_s=0.1))


def test_idle_time_is_waited_for_by_the_board_s_own_time():
    found = windows(BusyAfterwards(3e-3, 1e-3), Plan(window_s=0.1, windows=3, idle_s=0.1))
    assert len(used(found)) == 3  # without it, none


def test_a_board_that_fails_in_a_window_leaves_the_monitor_ready():
    board = ScriptedBoard(3e-3, 1e-3)

    def fail():
        raise LinkError("no answer")

    with VirtualPpk2(board) as device, Ppk2(device.port, "", VOLT, "source", simulated=True) as monitor:
        job = Job(board.infer, board.info, [b""], board.ticks)
        board.before_batch = fail
        with pytest.raises(LinkError, match="no answer"):
            measure(monitor, job, QUICK, 0)
        deadline = time.monotonic() + 60
        while device._streaming:  # its thread obeys in its own time
            assert time.monotonic() < deadline
            time.sleep(0.01)
        board.before_batch = lambda: None
        assert [window.problem for window in measure(monitor, job, QUICK, 0)[0]] == ["", "", ""]
