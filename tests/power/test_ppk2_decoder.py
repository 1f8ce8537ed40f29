import numpy as np
import pytest
from ppk2_api.ppk2_api import PPK2_API

from harness.errors import PowerError
from harness.power.base import join
from harness.power.ppk2_decoder import Calibration, Ppk2Decoder

VALUES = {
    "R": (1003.3506, 101.5865, 10.3027, 0.9636, 0.0564),
    "GS": (0.0000, 112.7890, 18.0115, 2.4217, 0.0729),
    "GI": (1.0000, 0.9695, 0.9609, 0.9519, 0.9582),
    "O": (112.9420, 75.4627, 64.6020, 50.4983, 86.2234),
    "S": (0.000000048, 0.000000596, 0.000005281, 0.000062577, 0.002940743),
    "I": (-0.000000104, -0.000001443, 0.000036439, -0.000374119, -0.009388455),
    "UG": (1.0, 1.0, 1.0, 1.0, 1.0),
}


def metadata(**changes):
    lines = [f"{name}{place}: {value}" for name, row in VALUES.items() for place, value in enumerate(row)]
    lines = ["Calibrated: 0", *lines, "VDD: 3300", "HW: 9173", "mode: 2", "IA: 56", "END"]
    for key, value in changes.items():
        kept = [line for line in lines if value or key not in line]
        lines = [f"{key}: {value}" if line.startswith(f"{key}:") else line for line in kept]
    return "\n".join(lines) + "\n"


def words(adc, ranges, logic, first=0):
    number = (first + np.arange(len(adc))) % 64
    return (
        np.asarray(adc, np.uint32)
        | np.asarray(ranges, np.uint32) << 14
        | number.astype(np.uint32) << 18
        | np.asarray(logic, np.uint32) << 24
    ).astype("<u4")


def stream(count, seed=0, *, switching=True):
    rng = np.random.default_rng(seed)
    adc = rng.integers(200, 8000, count)
    ranges = np.full(count, 2)
    if switching:
        ranges = np.repeat(rng.integers(0, 5, count), rng.integers(1, 40, count))[:count]
    logic = np.repeat(rng.integers(0, 256, count), 50)[:count]
    return words(adc, ranges, logic)


def decoder():
    return Ppk2Decoder(Calibration.parse(metadata(), "test"), 3.3)


def decode(data, piece=None):
    made = decoder()
    pieces = [data] if piece is None else [data[at : at + piece] for at in range(0, len(data), piece)]
    chunks = [made.feed(part) for part in pieces] + [made.feed(b"", final=True)]
    return join([chunk for chunk in chunks if chunk is not None]), made


class Oracle(PPK2_API):
    """The library's decoder without its port."""

    def __init__(self):
        text = metadata()
        self.modifiers = {name: {} for name in VALUES} | {"Calibrated": None, "HW": None, "IA": None}
        self._parse_metadata(text)
        self.current_vdd = 3300
        self.adc_mult = 1.8 / 163840
        self.rolling_avg = self.rolling_avg4 = self.prev_range = None
        self.consecutive_range_samples = self.after_spike = 0
        self.spike_filter_alpha, self.spike_filter_alpha5, self.spike_filter_samples = 0.18, 0.06, 3
        self.remainder = {"sequence": b"", "len": 0}
        self.MEAS_ADC = self._generate_mask(14, 0)
        self.MEAS_RANGE = self._generate_mask(3, 14)
        self.MEAS_LOGIC = self._generate_mask(8, 24)

    def __del__(self):
        pass


@pytest.mark.parametrize("switching", [False, True])
def test_gives_the_numbers_of_the_library_on_a_whole_stream(switching):
    data = stream(20_000, switching=switching).tobytes()
    expected, inputs = Oracle().get_samples(data)
    chunk, counters = decode(data)
    np.testing.assert_allclose(chunk.current_a * 1e6, expected, rtol=1e-9, atol=1e-9)
    assert chunk.logic.tolist() == inputs
    assert (counters.lost, counters.skipped_bytes, counters.realigned) == (0, 0, 0)
    assert (chunk.range_changes > 0) == switching


def test_a_run_of_samples_after_each_other_is_filtered_across_the_pieces():
    data = stream(5000, seed=3).tobytes()
    expected, _ = Oracle().get_samples(data)
    for piece in (401, 4096):
        np.testing.assert_allclose(decode(data, piece)[0].current_a * 1e6, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("piece", [1, 2, 3])
def test_short_reads_give_the_same_samples_where_the_library_does_not(piece):
    data = stream(700, seed=piece).tobytes()
    whole, _ = decode(data)
    chunk, counters = decode(data, piece)
    np.testing.assert_allclose(chunk.current_a, whole.current_a, rtol=1e-12)
    assert counters.lost == 0
    library, wrong = Oracle(), []
    for at in range(0, len(data), piece):
        wrong += library.get_samples(data[at : at + piece])[0]
    right = len(wrong) == len(whole) and np.allclose(np.array(wrong) / 1e6, whole.current_a)
    assert not right, "the library has become right; this test can compare with it"


def test_every_lost_sample_is_counted_and_marked():
    data = stream(10_000, switching=False)
    keep = np.random.default_rng(1).random(len(data)) >= 0.005
    keep[:10] = keep[-1] = True
    chunk, counters = decode(data[keep].tobytes())
    assert counters.lost == np.count_nonzero(~keep) > 20
    assert counters.realigned == 0
    assert (~chunk.lost).tolist() == keep.tolist()
    whole, _ = decode(data.tobytes())
    np.testing.assert_allclose(chunk.current_a[keep], whole.current_a[keep])
    inside = whole.current_a.min(), whole.current_a.max()
    assert ((chunk.current_a >= inside[0]) & (chunk.current_a <= inside[1])).all()


@pytest.mark.parametrize("piece", [None, 7, 64])
def test_missing_bytes_cost_a_sample_and_not_the_rest(piece):
    data = bytearray(stream(3000, switching=False).tobytes())
    whole, _ = decode(bytes(data))
    for place in (9003, 6001, 3002, 2000):  # each byte of a sample once
        del data[place]
    chunk, counters = decode(bytes(data), piece)
    assert counters.realigned == 4
    assert len(chunk) == len(whole)
    assert 4 <= counters.lost <= 12
    np.testing.assert_allclose(chunk.current_a[~chunk.lost], whole.current_a[~chunk.lost], rtol=1e-12)
    assert (chunk.logic[~chunk.lost] == whole.logic[~chunk.lost]).all()


@pytest.mark.parametrize("cut", [0, 1, 2, 3])
def test_attaching_to_a_running_stream_finds_the_samples(cut):
    data = stream(500, switching=False).tobytes()
    chunk, counters = decode(data[4 * 100 + cut :])
    whole, _ = decode(data)
    assert counters.skipped_bytes == (4 - cut) % 4
    np.testing.assert_allclose(chunk.current_a, whole.current_a[100 + (cut > 0) :], rtol=1e-12)


def test_bytes_that_are_no_samples_give_none():
    chunk, counters = decode(bytes(4000))
    assert chunk is None
    assert counters.skipped_bytes > 3900


def test_over_range_samples_are_counted():
    data = words([500] * 20 + [0x3FFF] * 5, [4] * 25, [0] * 25)
    assert decode(data.tobytes())[0].over_range == 5


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"GS2": "-nan"}, "GS2: -nan"),
        ({"R3": None}, "lacks R3"),
        ({"R0": "0.0000"}, "R0 = 0 ohm"),
        ({"UG1": "0"}, "UG1 = 0"),
    ],
)
def test_a_calibration_that_can_not_be_is_refused(changes, message):
    with pytest.raises(PowerError, match=message):
        Calibration.parse(metadata(**changes), "PPK2 C0FFEE")


def test_a_unit_without_calibration_is_refused():
    changes = {f"{name}{n}": "0.0" for name in ("O", "S", "I") for n in range(5)}
    design = {f"R{n}": ohm for n, ohm in enumerate((1031.64, 101.65, 10.15, 0.94, 0.043))}
    with pytest.raises(PowerError, match="no calibration of its own"):
        Calibration.parse(metadata(**changes, **design), "PPK2")
