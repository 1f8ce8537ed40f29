"""What it costs to stream inputs to an image on the virtual board, and to one on a serial line.

    python benchmarks/link_speed.py [--old FOLDER] [--rounds 5] [--seconds 1] [--link usb] [IMAGE ...]
    python benchmarks/link_speed.py --line [--old FOLDER] [--rounds 3] [--seconds 4]

What an inference itself takes is known from batches on one input, for which nothing travels: the rest of the time that
a streamed sample takes is overhead. Images of the same names in the folder `--old`, such as an earlier release's, are
measured in turn with the others, so that a busy computer disturbs both alike. The least of all rounds counts, of time
and of processor time.

With `--line` the real agent, compiled for this computer, answers on a line that takes its time for each byte, and 1 ms
later than it has passed the line (benchmarks/pty_board). Printed is which part of what the line could carry were
inputs. There `--old` is an earlier release's firmware/agent.
"""

from __future__ import annotations

import argparse
import itertools
import random
import time
from collections import defaultdict
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.boards.opening import open_board
from harness.boards.serial_stream import SerialStream
from harness.boards.start_image import start_image
from harness.config import Lab
from harness.image.elf import load_image
from harness.link.client import Link
from harness.link.timing import Timing
from pty_boards import AGENT, PtyBoard, Shape, build

if TYPE_CHECKING:
    from collections.abc import Sequence

PREBUILT = Path(__file__).parents[1] / "firmware" / "prebuilt" / "nano33"
IMAGES = ("japanese_vowels_int8", "fashion_mnist_int8", "fashion_mnist_96_int8")
BATCH = 50
BAUDS = (115_200, 921_600, 1_000_000)
SIZES = (360, 784, 9216)
TURNAROUND_US = 1000


@dataclass(frozen=True, slots=True)
class Cost:
    """Milliseconds of a sample, wall and processor time: streamed, and in a batch, where nothing travels."""

    streamed: float
    streamed_cpu: float
    alone: float
    alone_cpu: float


def clocks() -> tuple[float, float]:
    """Return wall time and this process's processor time, milliseconds; both of the board and of its host."""
    return 1e3 * time.monotonic(), 1e3 * time.process_time()


def measure(link: Link, inputs: Sequence[bytes], seconds: float) -> Cost:
    """Stream for so many seconds, and run batches for a third of that."""
    alone, until = [], time.monotonic() + seconds / 3
    while time.monotonic() < until or not alone:
        began = clocks()
        link.infer(inputs[0], BATCH)
        alone.append([(now - then) / BATCH for now, then in zip(clocks(), began, strict=True)])
    began, done, until = clocks(), 0, time.monotonic() + seconds
    endless = itertools.takewhile(lambda _: time.monotonic() < until, itertools.cycle(inputs))
    for _ in link.infer_each(endless):
        done += 1
    streamed = [(now - then) / done for now, then in zip(clocks(), began, strict=True)]
    return Cost(*streamed, *map(min, zip(*alone, strict=True)))


def measure_images(options: argparse.Namespace) -> None:
    """Print a line for each image on the virtual board."""
    device = Lab.load(None).select(["nano33"])[0].model_copy(update={"link": options.link})
    print(f"{'':40}{'':6}{'':11}{'milliseconds of wall time':>31}{'of processor time':>31}")
    print(f"{'image':40}{'bytes':>6}{'samples/s':>11}" + 2 * f"{'streamed':>11}{'alone':>10}{'overhead':>10}")
    for name in options.images:
        path = Path(name) if name.endswith(".elf") else PREBUILT / f"{name}.elf"
        paths = {"": path} | ({"old ": options.old / path.name} if options.old else {})
        found = defaultdict(list)
        with ExitStack() as stack:
            links = {}
            for label, one in paths.items():
                board = stack.enter_context(open_board(device, "virtual"))
                links[label] = Link(board.link(), board.name)
                info = start_image(board, load_image(one), links[label])
            inputs = made_up(info.whole_bytes)
            for _ in range(options.rounds):
                for label, link in links.items():
                    found[label].append(measure(link, inputs, options.seconds))
        for label, costs in found.items():
            wall, cpu, alone, alone_cpu = (min(getattr(cost, of) for cost in costs) for of in Cost.__slots__)
            print(
                f"{label + path.stem:40}{info.whole_bytes:6}{1e3 / wall:11.0f}"
                f"{wall:11.3f}{alone:10.3f}{wall - alone:10.3f}{cpu:11.3f}{alone_cpu:10.3f}{cpu - alone_cpu:10.3f}"
            )


def made_up(size: int) -> list[bytes]:
    """Return inputs."""
    noise = random.Random(1)  # noqa: S311 (test data)
    return [noise.randbytes(size) for _ in range(32)]


def measure_lines(options: argparse.Namespace) -> None:
    """Print for each rate and size which part of the line carried inputs."""
    agents = {"": AGENT} | ({"old": options.old} if options.old else {})
    print(f"{'agent':6}{'bit/s':>9}{'bytes':>7}{'samples/s':>11}{'of the line':>13}{'host CPU, ms a sample':>23}")
    for baud, size in itertools.product(BAUDS, SIZES):
        best: dict[str, tuple[float, float]] = {}
        programs = {label: build(Shape(size, 10), agent=agent) for label, agent in agents.items()}
        for _, label in itertools.product(range(options.rounds), agents):
            with PtyBoard(programs[label], baud=baud, turnaround_us=TURNAROUND_US) as board:
                found = measure_line(board, baud, made_up(size), options.seconds)
            best[label] = max(best.get(label, found), found)
        for label, (rate, cpu) in best.items():
            share = 100 * rate * size * 10 / baud
            print(f"{label:6}{baud:9}{size:7}{rate:11.1f}{share:11.1f} %{cpu:23.3f}", flush=True)


def measure_line(board: PtyBoard, baud: int, inputs: Sequence[bytes], seconds: float) -> tuple[float, float]:
    """Return samples a second, and this process's processor time for each, milliseconds."""
    stream = SerialStream("board", board.port, baud)
    try:
        link = Link(stream, "board", Timing(baud=baud))
        link.connect(after_reset=False)
        link.infer(inputs[0])
        (began, used), done = clocks(), 0
        endless = itertools.takewhile(lambda _: clocks()[0] < began + 1e3 * seconds, itertools.cycle(inputs))
        done = sum(1 for _ in link.infer_each(endless))
        now, used_now = clocks()
    finally:
        stream.close()
    return 1e3 * done / (now - began), (used_now - used) / done


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print a line for each image, or for each line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "images", nargs="*", metavar="IMAGE", default=IMAGES, help="names in firmware/prebuilt/nano33, or paths"
    )
    parser.add_argument("--old", type=Path, metavar="FOLDER", help="the same images, or the agent, as they were")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--link", choices=("uart", "usb", "probe"), default="uart", help="of the virtual board")
    parser.add_argument("--line", action="store_true", help="the agent on lines of several rates instead")
    options = parser.parse_args(arguments)
    (measure_lines if options.line else measure_images)(options)


if __name__ == "__main__":
    main()
