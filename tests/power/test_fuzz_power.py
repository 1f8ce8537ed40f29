"""Whatever a power monitor sends or a trace holds, it becomes a bounded number of finite samples, or a PowerError."""

from __future__ import annotations

import contextlib

import numpy as np

from fuzzing import amounts, fuzz, spoil
from harness.errors import PowerError
from harness.power.base import join
from harness.power.lpm01a_decoder import AsciiDecoder, BinaryDecoder
from harness.power.ppk2_decoder import Calibration, Ppk2Decoder
from harness.power.replay import load_trace
from harness.power.serial_monitor import SILENT_S
from harness.power.virtual.lpm01a import encode_ascii, encode_binary
from power.test_ppk2_decoder import metadata, stream

RATE = 1000
CURRENT = np.full(60, 3e-3)


def stamp(milliseconds):
    return b"\xf0\xf3" + milliseconds.to_bytes(4, "big") + b"\x01\xff\xff"


BINARY = stamp(0) + encode_binary(CURRENT) + stamp(60) + encode_binary(CURRENT) + b"\xf0\xf4\xff\xff"
ASCII = (
    b"TimeStamp: 000s 000ms, buff 00%\r\n" + encode_ascii(CURRENT) + b"TimeStamp: 000s 060ms, buff 00%\r\n"
    b"info: something\r\n" + encode_ascii(CURRENT) + b"Acquisition completed\r\n"
)
TRACES = (
    b"time_s,current_a,sync,voltage_v\n" + b"".join(b"%.3f,0.005,%d,3\n" % (n / 1000, n // 10 == 2) for n in range(50)),
    b"Timestamp(ms),Current(uA),D0-D7\n" + b"".join(b"%d,5000.0,%d0000000\n" % (n, n // 10 == 2) for n in range(50)),
    b"# time,1.i,1.v,1.0\n" + b"".join(b"%.18e,5e-3,3.0,%d\n" % (n / 1000, n // 10 == 2) for n in range(50)),
)


def pieces(chance, data):
    while data:
        size = chance.randint(1, 200)
        yield data[:size]
        data = data[size:]


@amounts(quick=1000, many=10_000)
def test_an_lpm01a_invents_no_samples(cases):
    def check(chance):
        kind, good = chance.choice(((BinaryDecoder, BINARY), (AsciiDecoder, ASCII)))
        decoder = kind("LPM01A", RATE, 3.0, 0.05)
        chunks = []
        data = spoil(chance, (good,))
        with contextlib.suppress(PowerError):
            chunks.extend(decoder.feed(piece) for piece in pieces(chance, data))
        chunk = join([*chunks, decoder.take()])
        if chunk is not None:
            assert len(chunk) <= len(data) + SILENT_S * RATE * data.count(
                b"\xf0\xf3" if kind is BinaryDecoder else b"T"
            )
            assert np.isfinite(chunk.current_a).all()
            assert np.count_nonzero(chunk.current_a[~chunk.lost] > 0.05) <= chunk.over_range

    fuzz(cases, check)


@amounts(quick=150, many=750)
def test_a_ppk2_loses_no_more_than_its_numbers_can_say(cases):
    good = stream(150).tobytes()

    def check(chance):
        decoder = Ppk2Decoder(Calibration.parse(metadata(), "test"), 3.3)
        data = spoil(chance, (good,))
        chunks = [decoder.feed(piece) for piece in pieces(chance, data)] + [decoder.feed(b"", final=True)]
        kept = [chunk for chunk in chunks if chunk is not None]
        assert sum(int((~chunk.lost).sum()) for chunk in kept) <= len(data) // 4
        assert sum(len(chunk) for chunk in kept) <= 64 * (len(data) // 4 + 1)
        assert all(np.isfinite(chunk.current_a).all() for chunk in kept)

    fuzz(cases, check)


@amounts(quick=2000, many=10_000)
def test_a_calibration_is_whole_or_refused(cases):
    good = metadata().encode()

    def check(chance):
        with contextlib.suppress(PowerError):
            found = Calibration.parse(spoil(chance, (good,)).decode("latin-1"), "test")
            steps, ranges = np.arange(5.0) * 4000, np.arange(5)
            assert np.isfinite(found.amperes(steps, ranges, 3.3)).all()

    fuzz(cases, check)


@amounts(quick=100, many=1500)
def test_a_damaged_trace_is_read_or_refused(cases, tmp_path):
    path = tmp_path / "trace.csv"

    def check(chance):
        path.write_bytes(spoil(chance, TRACES))
        with contextlib.suppress(PowerError):
            found = load_trace(path, 3.0, chance.choice((None, "D0", "1.0")))
            assert np.isfinite(found.chunk.power_w).all()
            assert found.rate_hz > 0

    fuzz(cases, check)
