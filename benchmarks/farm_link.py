"""What it costs one host process to stream inputs to many boards at 1 Mbaud, and whether the lines keep their rate.

    python benchmarks/farm_link.py [--boards 16] [--seconds 10] [--shape 784x10] [--json FILE]

The boards run the real agent on pseudo-terminals (benchmarks/pty_board), each in a process of its own that keeps the
pace of a line of 1 Mbaud and counts how long the host let it idle. The host is this process: a thread for each board
with the harness's own serial stream and link client. Every output and every tick count is checked. One board alone is
measured first; the lines keep their rate if each of many boards gets at least 99 % of what that one got.

The host's threads share one core (harness/link/shared_core.py). The boards' processes, which a farm doesn't have, run
on the others: so on 2 cores the host has one of them, which is less than a farm's host would have.

A line can't be busy all the time: the host waits for the grant of each frame. What the
board's own turns take is in neither of the two idle shares: "host" is the time in which the host might have sent and
had not, "fakes" the time in which a board's process, which shares the computer with this one, woke up late. The verdict
says how much more of both the slowest line had than that of one board alone. Both cost rate; nothing is taken off.
What the kernel's own threads took of the processor, which carry the bytes of pseudo-terminals, and what other programs
took is printed too: with much of the latter the figures mean little.
Linux only.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import random
import resource
import statistics
import sys
import threading
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from harness.boards.serial_stream import SerialStream
from harness.link.client import Link
from harness.link.shared_core import share_core, shared_core
from harness.link.timing import Timing
from pty_boards import BAUD, LINE_BYTES_PER_S, Counts, PtyBoard, Shape, build, expected_reply

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

#: What the suites stream, an image of 96 x 96, and a model whose output is as large as its input (an autoencoder).
SHAPES = (Shape(784, 10), Shape(9216, 10), Shape(784, 784))
WARM_UP_S = 1.0
INPUTS = 16
KEPT = 0.99
PATIENCE_S = 30.0  # a process of a board that a busy computer stops for a while has lost nothing
QUIET = 0.1  # cores that other programs may take before a verdict is worth little
KERNEL_THREAD = 0x00200000  # PF_KTHREAD, a flag in /proc/PID/stat


@dataclass
class Conversation:
    """A thread that streams inputs to one board and checks what comes back."""

    board: PtyBoard
    shape: Shape
    number: int
    inferences: int = 0
    wrong: int = 0
    repaired: int = 0
    ungranted: int = 0
    error: BaseException | None = None
    stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Stream until told to stop."""
        try:
            share_core()
            self._stream()
        except Exception as error:  # noqa: BLE001 (raised again by the thread that measures)
            self.error = error

    def _stream(self) -> None:
        noise = random.Random(self.number)  # noqa: S311 (test data; each board its own, so that a mix-up shows)
        inputs = [noise.randbytes(self.shape.input_bytes) for _ in range(INPUTS)]
        replies = [expected_reply(data, self.shape) for data in inputs]
        stream = SerialStream(f"board {self.number}", self.board.port, BAUD)
        try:
            link = Link(stream, f"board {self.number}", Timing(reply=PATIENCE_S))
            link.connect(after_reset=False)
            endless: Iterator[bytes] = itertools.takewhile(lambda _: not self.stop.is_set(), itertools.cycle(inputs))
            for result, (output, ticks) in zip(link.infer_each(endless), itertools.cycle(replies), strict=False):
                self.inferences += 1
                if result.output != output or result.ticks != (ticks,):
                    self.wrong += 1
            repairs = link.counters
            self.repaired = repairs.retransmissions + repairs.recoveries + repairs.damaged_replies
            self.ungranted = link.stats().receive_errors
        finally:
            stream.close()


@dataclass(frozen=True, slots=True)
class Line:
    """One board's line: shares of the line rate, and of the time."""

    to_board: float
    from_board: float
    host_idle: float
    fake_idle: float
    longest_idle_s: float
    inferences_per_s: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a number of boards gave, and what they cost."""

    lines: tuple[Line, ...]
    seconds: float
    host_cpu: float
    host_user_cpu: float
    fakes_cpu: float
    kernel_cpu: float
    others_cpu: float
    inferences: int
    wrong: int
    repaired: int
    ungranted_bytes: int

    def share(self, of: str, pick: str = "median") -> float:
        """Return the median, least or largest of one figure over the boards."""
        values = [getattr(line, of) for line in self.lines]
        return {"median": statistics.median, "min": min, "max": max}[pick](values)


def busy_s() -> float:
    """Return the processor time of everything on this computer, seconds since some moment.

    It is what was not idle. The kernel counts that exactly, and what was busy only by looking at each tick.
    """
    _user, _nice, _system, idle, iowait, *_ = map(int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:])
    return (os.cpu_count() or 1) * time.monotonic() - (idle + iowait) / os.sysconf("SC_CLK_TCK")


def kernel_threads_s() -> dict[str, float]:
    """Return the processor time of each of the kernel's threads so far, seconds. They come and go."""
    found = {}
    for process in Path("/proc").glob("[0-9]*/stat"):
        try:
            number, _, rest = process.read_text().partition(" ")
        except (FileNotFoundError, ProcessLookupError):  # it has just ended
            continue
        fields = rest.rpartition(")")[2].split()
        if int(fields[6]) & KERNEL_THREAD:
            found[number] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return found


def count(talk: Conversation) -> tuple[Counts, int]:
    """Return what a board has counted, and the inferences of the same moment, as far as a busy computer has one."""
    longest_s = 0.0
    for _ in range(20):
        earlier = talk.inferences
        counts = talk.board.counts()
        longest_s = max(longest_s, counts.longest_s)
        if talk.inferences - earlier <= 1:
            break
    return replace(counts, longest_s=longest_s), talk.inferences


def measure(shape: Shape, boards: int, seconds: float) -> Outcome:
    """Stream to so many boards for so long, after a second of warming up.

    Raises:
        HilError: what a conversation was ended by.
    """
    with ExitStack() as stack:
        program = build(shape)
        apart = os.sched_getaffinity(0) - {shared_core()}
        fakes = [stack.enter_context(PtyBoard(program, apart)) for _ in range(boards)]
        talks = [Conversation(fake, shape, number) for number, fake in enumerate(fakes)]
        threads = [threading.Thread(target=talk.run) for talk in talks]
        for thread in threads:
            thread.start()
        try:
            time.sleep(WARM_UP_S)
            busy, kernel, used = busy_s(), kernel_threads_s(), resource.getrusage(resource.RUSAGE_SELF)
            before, done = zip(*map(count, talks), strict=True)
            time.sleep(seconds)
            after, done_then = zip(*map(count, talks), strict=True)
            used_then = resource.getrusage(resource.RUSAGE_SELF)
            done = [then - earlier for then, earlier in zip(done_then, done, strict=True)]
            busy, kernel_then = busy_s() - busy, kernel_threads_s()
        finally:
            for talk in talks:
                talk.stop.set()
            for thread in threads:
                thread.join()
        for talk in talks:
            if talk.error is not None:
                raise talk.error
    span = after[-1].now_s - before[-1].now_s
    user, system = used_then.ru_utime - used.ru_utime, used_then.ru_stime - used.ru_stime
    fakes = sum(b.cpu_s - a.cpu_s for a, b in zip(before, after, strict=True))
    threads_s = sum(spent - kernel.get(number, 0.0) for number, spent in kernel_then.items())
    return Outcome(
        lines=tuple(_line(*pair, count) for *pair, count in zip(before, after, done, strict=True)),
        seconds=span,
        host_cpu=(user + system) / span,
        host_user_cpu=user / span,
        fakes_cpu=fakes / span,
        kernel_cpu=threads_s / span,
        others_cpu=max(0.0, busy - user - system - fakes - threads_s) / span,
        inferences=sum(talk.inferences for talk in talks),
        wrong=sum(talk.wrong for talk in talks),
        repaired=sum(talk.repaired for talk in talks),
        ungranted_bytes=sum(talk.ungranted for talk in talks),
    )


def _line(before: Counts, after: Counts, inferences: int) -> Line:
    span = after.now_s - before.now_s
    return Line(
        to_board=(after.rx_bytes - before.rx_bytes) / span / LINE_BYTES_PER_S,
        from_board=(after.tx_bytes - before.tx_bytes) / span / LINE_BYTES_PER_S,
        host_idle=(after.starved_s - before.starved_s) / span,
        fake_idle=(after.late_s - before.late_s) / span,
        longest_idle_s=after.longest_s,
        inferences_per_s=inferences / span,
    )


def describe(found: Outcome) -> str:
    """Return the lines that are printed for one number of boards."""
    one = len(found.lines) == 1
    percent = {
        (of, pick): f"{100 * found.share(of, pick):.2f} %"
        for of in ("to_board", "from_board", "host_idle", "fake_idle")
        for pick in ("median", "min", "max")
    }

    def shown(of: str, worst: str) -> str:
        return percent[of, "median"] + ("" if one else f" ({worst} {percent[of, worst]})")

    return (
        f"{len(found.lines)} board{'' if one else 's'}, {found.seconds:.1f} s, "
        f"{found.share('inferences_per_s'):.1f} inferences/s{'' if one else ' each'}\n"
        f"  line to the board    {shown('to_board', 'min')} of the line rate\n"
        f"  line from the board  {shown('from_board', 'min')}\n"
        f"  idle for the host    {shown('host_idle', 'max')} of the time, "
        f"longest {1e3 * found.share('longest_idle_s', 'max'):.1f} ms\n"
        f"  idle for the fakes   {shown('fake_idle', 'max')}\n"
        f"  processor            host {found.host_cpu:.3f} s/s ({100 * found.host_cpu / 2:.1f} % of 2 cores; user "
        f"{found.host_user_cpu:.3f}), fakes {found.fakes_cpu:.3f}, kernel's threads {found.kernel_cpu:.3f}, "
        f"other programs {found.others_cpu:.3f}\n"
        f"  checked              {found.inferences} replies, {found.wrong} wrong; {found.repaired} repairs, "
        f"{found.ungranted_bytes} bytes without a grant"
    )


def verdict(shape: Shape, alone: Outcome, together: Outcome) -> tuple[bool, str]:
    """Return whether the slowest board kept its line rate, and a line that says so."""
    whole = alone.share("to_board")
    median, least = together.share("to_board") / whole, together.share("to_board", "min") / whole
    kept = least >= KEPT
    slowest = min(together.lines, key=lambda line: line.to_board)
    others = max(alone.others_cpu, together.others_cpu)
    line = (
        f"{'LINE RATE KEPT' if kept else 'LINE RATE LOST'}: {shape.input_bytes} bytes in, {shape.output_bytes} out, "
        f"{len(together.lines)} boards get {100 * median:.2f} % (least {100 * least:.2f} %) of what one gets alone; "
        f"host {100 * together.host_cpu / 2:.1f} % of 2 cores; slowest idle for the host "
        f"{100 * (slowest.host_idle - alone.share('host_idle')):+.2f} % of the time, for the fakes "
        f"{100 * (slowest.fake_idle - alone.share('fake_idle')):+.2f} %"
    )
    return kept, line if others < QUIET else f"{line}; DISTURBED, other programs took {others:.1f} cores: repeat it"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure each shape, print the figures, and fail if anything was wrong, repaired or slower than promised."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--boards", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--shape", action="append", metavar="INxOUT", help="bytes of the tensors; default: three")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure of every board here")
    options = parser.parse_args(arguments)
    shapes = [Shape(*map(int, text.split("x"))) for text in options.shape or ()] or SHAPES
    print(f"Python {sys.version.split()[0]}, {os.cpu_count()} cores")
    good, verdicts, figures = True, [], []
    for shape in shapes:
        alone, together = (measure(shape, boards, options.seconds) for boards in (1, options.boards))
        print(f"\n{shape.input_bytes} bytes in, {shape.output_bytes} out\n{describe(alone)}\n{describe(together)}")
        kept, line = verdict(shape, alone, together)
        clean = all(run.wrong == run.repaired == run.ungranted_bytes == 0 for run in (alone, together))
        good = good and kept and clean
        verdicts.append(line if clean else f"{line}; NOT CLEAN: see wrong, repairs and bytes without a grant")
        figures.append({"shape": asdict(shape), "alone": asdict(alone), "together": asdict(together), "kept": kept})
    print("", *verdicts, sep="\n")
    if options.json is not None:
        about = {"python": sys.version.split()[0], "cores": os.cpu_count(), "clean_and_kept": good}
        options.json.write_text(json.dumps(about | {"figures": figures}, indent=1) + "\n")
    if not good:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
