"""What it costs to stream inputs to an image on the virtual board, and to one on a serial line.

    python benchmarks/link_speed.py [--old FOLDER] [--rounds 5] [--seconds 1] [IMAGE ...]

What an inference itself takes is known from batches on one input, for which nothing travels: the rest of the time that
a streamed sample takes is overhead. Images of the same names in the folder `--old`, such as an earlier release's, are
measured in turn with the others, so that a busy computer disturbs both alike. The least of all rounds counts, of time
and of processor time.
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
from harness.boards.start_image import start_image
from harness.config import Lab
from harness.image.elf import load_image
from harness.link.client import Link

if TYPE_CHECKING:
    from collections.abc import Sequence

PREBUILT = Path(__file__).parents[1] / "firmware" / "prebuilt" / "nano33"
IMAGES = ("japanese_vowels_int8", "fashion_mnist_int8", "fashion_mnist_96_int8")
BATCH = 50


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


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure each image and print a line for it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "images", nargs="*", metavar="IMAGE", default=IMAGES, help="names in firmware/prebuilt/nano33, or paths"
    )
    parser.add_argument("--old", type=Path, metavar="FOLDER", help="the same images, as they were")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0)
    options = parser.parse_args(arguments)
    device = Lab.load(None).select(["nano33"])[0]
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
            noise = random.Random(1)  # noqa: S311 (test data)
            inputs = [noise.randbytes(info.whole_bytes) for _ in range(32)]
            for _ in range(options.rounds):
                for label, link in links.items():
                    found[label].append(measure(link, inputs, options.seconds))
        for label, costs in found.items():
            wall, cpu, alone, alone_cpu = (min(getattr(cost, of) for cost in costs) for of in Cost.__slots__)
            print(
                f"{label + path.stem:40}{info.whole_bytes:6}{1e3 / wall:11.0f}"
                f"{wall:11.3f}{alone:10.3f}{wall - alone:10.3f}{cpu:11.3f}{alone_cpu:10.3f}{cpu - alone_cpu:10.3f}"
            )


if __name__ == "__main__":
    main()
