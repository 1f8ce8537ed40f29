"""How fast the PPK2's samples are decoded, and whether they are lost while a virtual board works.

    python benchmarks/power_decode.py [seconds]

A PPK2 sends 100,000 samples per second. Figures depend on what else the machine does; say so when quoting them.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from harness.boards.opening import open_board
from harness.boards.start_image import start_image
from harness.config import Lab
from harness.image.elf import load_image
from harness.link.client import Link
from harness.link.timing import Timing
from harness.power.ppk2 import Ppk2
from harness.power.ppk2_decoder import Calibration, Ppk2Decoder
from harness.power.pulses import PulseFinder
from harness.power.virtual.activity import Segment
from harness.power.virtual.ppk2 import METADATA, Trouble, VirtualPpk2, encode

ROOT = Path(__file__).parents[1]
PIECE = 4 * 1000  # bytes: what a read of a busy port gives
STEADY = SimpleNamespace(
    begin=lambda: None, end=lambda: None, now=lambda: 0.0, segments=lambda _until: [Segment(0.0, 3e-3, 0)]
)


def decode(changes: int, loss: float, *, count: int = 4_000_000) -> float:
    """Return samples per CPU second of decoder and pulse finder; `changes` of range per second."""
    calibration = Calibration.parse(METADATA, "benchmark")
    level = np.arange(count) // max(1, 100_000 // changes if changes else count) % 2
    words = encode(calibration, np.where(level == 1, 3e-3, 3e-4), 3.0, np.random.default_rng(0))
    words |= np.arange(count, dtype=np.uint32) % 64 << 18
    words = words[np.random.default_rng(1).random(count) >= loss]
    data = words.astype("<u4").tobytes()
    decoder, finder = Ppk2Decoder(calibration, 3.0), PulseFinder(0, 100_000)
    began = time.process_time()
    for at in range(0, len(data), PIECE):
        chunk = decoder.feed(data[at : at + PIECE])
        if chunk is not None:
            finder.feed(chunk)
    return count / (time.process_time() - began)


def stream(seconds: float) -> tuple[int, int, int]:
    """Return samples received, lost ones by their number, and those that the device had to drop."""
    device = Lab.load(None).select(["nano33"])[0]
    image = load_image(ROOT / "firmware" / "prebuilt" / "nano33" / "fashion_mnist_int8.elf")
    done = threading.Event()
    with (
        open_board(device, "virtual") as board,
        VirtualPpk2(STEADY, trouble=Trouble(realtime=True)) as ppk2,
        Ppk2(ppk2.port, "", 3.0, "source", simulated=True) as monitor,
    ):
        link = Link(board.link(), board.name, Timing(baud=device.kind.baud))
        info = start_image(board, image, link)

        def work() -> None:
            while not done.is_set():
                link.infer(bytes(info.input_bytes))

        worker = threading.Thread(target=work)
        worker.start()
        monitor.start()
        samples = lost = 0
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if chunk := monitor.read():
                samples, lost = samples + len(chunk), lost + int(chunk.lost.sum())
        last = monitor.stop()
        samples += len(last) if last else 0
        done.set()
        worker.join()
        return samples, lost, ppk2.lost


def main() -> None:
    """Print the figures."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 20.0
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} CPUs, reads of {PIECE} bytes")
    for changes, loss in ((0, 0.0), (100, 0.0), (1000, 0.0), (0, 0.005)):
        rate = decode(changes, loss)
        print(
            f"decoded with {changes} range changes/s and {100 * loss:g} % lost: {rate / 1e6:.1f} million samples/CPU s"
        )
    samples, lost, dropped = stream(seconds)
    print(f"streamed {seconds:g} s beside a working virtual board: {samples} samples, {lost} lost, {dropped} dropped")


if __name__ == "__main__":
    main()
