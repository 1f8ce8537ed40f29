"""The host's side against the virtual device, over a real pseudo-terminal."""

import time
import tracemalloc

import numpy as np
import pytest

from harness.errors import PowerError
from harness.power.base import Chunk, MonitorInfo, join
from harness.power.judge import Plan, Work, judge
from harness.power.ppk2 import Ppk2, voltage_bytes
from harness.power.ppk2_decoder import Ppk2Decoder
from harness.power.pulses import PulseFinder
from harness.power.virtual.activity import Segment, resample
from harness.power.virtual.ppk2 import METADATA, Trouble, VirtualPpk2, encode
from power.scripted import ScriptedBoard


def opened(device, mode="source"):
    return Ppk2(device.port, "C0FFEE", 3.0, mode, simulated=True)


def capture(monitor, seconds):
    monitor.start()
    end = time.monotonic() + seconds
    chunks = []
    while time.monotonic() < end:
        chunks.append(monitor.read())
    chunks.append(monitor.stop())
    return join([chunk for chunk in chunks if chunk is not None])


def test_the_voltage_is_sent_as_the_notes_say():
    assert voltage_bytes(3300) == bytes([0x0D, 0x0C, 0xE4])
    assert voltage_bytes(800) == bytes([0x0D, 3, 32])
    with pytest.raises(PowerError, match=r"0\.8 to 5 V, not 5\.5 V"):
        voltage_bytes(5500)


def test_samples_come_at_the_rate_and_the_board_gets_its_voltage():
    with VirtualPpk2(ScriptedBoard(1e-3, 1e-3)) as device, opened(device) as monitor:
        monitor.start()
        chunks = [monitor.read() for _ in range(30)]
        least = time.monotonic() - device._host_began_s  # the device began a moment after the host had asked
        chunk = join([chunk for chunk in (*chunks, monitor.stop()) if chunk is not None])
        most = time.monotonic() - device._host_began_s
        assert 100_000 * least - 1 <= len(chunk) <= 100_000 * most + 1
        assert chunk.current_a.mean() == pytest.approx(1e-3, rel=1e-3)
        assert device.powered
        assert device._vdd_v == 3.0
        assert monitor.info.sample_rate_hz == 100_000
        assert monitor.info.source == "simulated"


def test_split_metadata_is_waited_for():
    split = Trouble(split_metadata=True)
    with VirtualPpk2(ScriptedBoard(1e-3, 1e-3), trouble=split) as device, opened(device) as monitor:
        assert monitor.calibration.ohm[4] == 0.0452
        assert monitor.calibration.per_volt[4] == 0.001


def test_a_device_that_still_streams_is_stopped_first():
    with VirtualPpk2(ScriptedBoard(2e-3, 2e-3)) as device:
        device.stream_already()
        time.sleep(0.1)
        with opened(device) as monitor:
            assert capture(monitor, 0.1).current_a.mean() == pytest.approx(2e-3, rel=1e-3)


def test_a_bad_calibration_names_the_monitor():
    text = METADATA.replace("GI1: 0.985", "GI1: -nan")
    with (
        VirtualPpk2(ScriptedBoard(1e-3, 1e-3), trouble=Trouble(metadata=text)) as device,
        pytest.raises(PowerError, match="simulated PPK2 C0FFEE: its calibration says GI1: -nan"),
    ):
        opened(device)


def test_a_port_that_is_no_ppk2_is_said():
    with (
        VirtualPpk2(ScriptedBoard(1e-3, 1e-3), trouble=Trouble(metadata="hello\n")) as device,
        pytest.raises(PowerError, match=r"no calibration came in 3 s, only b'hello\\n'. Is this port a PPK2's"),
    ):
        opened(device)


def test_a_port_that_is_not_there_is_said():
    with pytest.raises(PowerError, match="/dev/no-such-port can't be opened"):
        Ppk2("/dev/no-such-port", "", 3.0, "source")


def test_it_can_be_started_again():
    with VirtualPpk2(ScriptedBoard(1e-3, 1e-3)) as device, opened(device) as monitor:
        for _ in range(3):
            assert capture(monitor, 0.05).lost.sum() == 0


def test_what_a_host_does_not_take_in_time_is_noticed():
    with VirtualPpk2(ScriptedBoard(1e-3, 1e-3), trouble=Trouble(realtime=True)) as device, opened(device) as monitor:
        monitor.start()
        began = time.monotonic()
        chunks = []
        for _ in range(3):
            time.sleep(0.41)
            chunks.append(monitor.read())
        elapsed_s = time.monotonic() - began
        chunks.append(monitor.stop())
        assert device.lost > 0
        samples = sum(len(chunk) for chunk in chunks if chunk)
    # The 6-bit number tells the loss modulo 64 only, so the count against the time is what gives it away.
    finder = PulseFinder(0, 1000)
    finder.feed(Chunk(np.full(samples, 1e-3), 3.0, np.zeros(samples, np.uint8), np.zeros(samples, np.bool_)))
    info = MonitorInfo("ppk2", "", 100_000, 3.0, simulated=False)
    work = Work(1, 1, 64, 64_000_000, 1)
    window = judge(0, work, finder.finish(), info, Plan(), 0, host_s=elapsed_s)
    assert window.problem == "lost samples"
    assert "whole stretches are missing" in window.reason


@pytest.mark.parametrize("current_a", [0.0, 1e-6, 4e-6, 49.9e-6, 51e-6, 4.9e-3, 5.1e-3, 59e-3, 61e-3, 0.5])
def test_the_virtual_device_encodes_what_the_host_decodes(current_a):
    board = ScriptedBoard(1e-3, 1e-3)
    device = VirtualPpk2(board)
    words = encode(device._calibration, np.full(5000, current_a), 3.0, np.random.default_rng(0))
    words |= np.arange(5000, dtype=np.uint32) % 64 << 18
    chunk = Ppk2Decoder(device._calibration, 3.0).feed(words.astype("<u4").tobytes(), final=True)
    device.close()
    assert chunk.current_a.mean() == pytest.approx(current_a, rel=2e-3, abs=1e-8)


def test_resampling_keeps_the_charge():
    segments = [Segment(0.0, 1e-3, 0), Segment(0.0123456, 5e-3, 1), Segment(0.0223456, 1e-3, 0)]
    current, logic = resample(segments, np.arange(5001) / 100_000)
    assert current.sum() / 100_000 == pytest.approx(0.04 * 1e-3 + 0.01 * 5e-3, rel=1e-9)
    assert logic.sum() == pytest.approx(1000, abs=1)


def test_memory_stays_flat_over_minutes_of_samples():
    """Ten million samples through decoder and pulse finder, as windows are measured."""
    board = ScriptedBoard(1e-3, 1e-3)
    device = VirtualPpk2(board)
    batch = 64 * 1000
    words = encode(device._calibration, np.full(batch, 1e-3), 3.0, np.random.default_rng(0))
    words |= np.arange(batch, dtype=np.uint32) % 64 << 18
    words[batch // 2 :] |= 1 << 24
    data = words.astype("<u4").tobytes()
    decoder, finder = Ppk2Decoder(device._calibration, 3.0), PulseFinder(0, 100_000)
    device.close()
    seen, peaks = 0, []
    tracemalloc.start()
    for second in range(100):
        for _ in range(2 if second % 2 else 1):
            chunk = decoder.feed(data)
            seen += len(chunk)
            finder.feed(chunk)
        if second in (20, 99):
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.reset_peak()
    tracemalloc.stop()
    assert decoder.lost == 0
    assert seen > 9_000_000
    assert peaks[1] < peaks[0] + 1_000_000
    assert len(finder.finish().pulses) == seen // batch + 1
