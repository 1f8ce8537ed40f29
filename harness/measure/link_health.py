"""`hil doctor` on the link: echo, throughput, and the board's counter against the computer's clock."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.link.wire import HEADER_BYTES
from harness.measure.finding import Finding

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from harness.boards.base import Board
    from harness.config.access import LinkKind
    from harness.link.client import Link
    from harness.link.messages import Info

_ECHO_ROUNDS = 16
_CRC_BYTES = 4
_OVER: dict[LinkKind, str] = {"usb": " over the board's own USB", "probe": " through the debug probe"}
#: Why such a link is slower than the UART, and what to do.
_SLOW: dict[LinkKind, str] = {
    "usb": "is the board behind a hub, or shares it the bus with others? Plug it into the computer itself",
    "probe": "a CMSIS-DAP v1 probe moves 64 bytes at a time; newer firmware of it may know v2, else use `link: uart`",
}
#: Share of the line's rate below which something is slower than the line: a USB bridge's latency, a wrong baud rate.
_SLOW_SHARE = 0.5
_COUNT_SECONDS = 1.0
_MOST_BATCHES = 50
#: The computer may be late by scheduling, the board's crystal is good to far better than this.
_EARLY, _LATE = 0.99, 1.05
#: What may be unknown of the time by the clock, as a share of it: less than what makes a difference.
_UNSURE = 0.005


@dataclass(frozen=True)
class ClockSample:
    """The same inferences by the computer's clock and by the board's counter.

    `unsure_s` is by how much `wall_s` may be wrong, where it isn't known what the answers took on their way.
    """

    wall_s: float
    ticks: int
    counter_hz: int
    unsure_s: float = 0.0

    @property
    def counter_s(self) -> float:
        """What the counter says they took, seconds."""
        return self.ticks / self.counter_hz


def link_findings(board: Board, link: Link, info: Info) -> Iterator[Finding]:
    """Check a link that is connected: what is echoed, how fast, and what the counter counts."""
    rate = yield from _echo(board, link, info)
    if len(info.pieces) > 1:
        text = "counter not held against the clock: this image takes its input in parts; give another with --image"
        yield Finding("optional", board.name, text)
    elif board.backend == "hardware":
        byte_s = (10 / board.kind.baud,) * 2 if board.over == "uart" else (0.0, 2 / rate)
        yield judge_clock(board.name, measure_clock(link, info, byte_s))
    else:
        yield Finding(
            "optional",
            board.name,
            f"counter: not held against the clock, since the {board.backend} board counts {board.counter}, not time",
        )


def _echo(board: Board, link: Link, info: Info) -> Generator[Finding, None, float]:
    """Echo, and return the bytes per second that were carried, there and back taken together."""
    size = min(info.max_chunk, 4096)
    data = (bytes(range(256)) * (size // 256 + 1))[:size]
    started = time.monotonic()
    for _ in range(_ECHO_ROUNDS):
        if link.echo(data) != data:
            text = "the link returned other bytes than were sent; check cable and baud rate"
            yield Finding("problem", board.name, text)
            return board.kind.baud / 10
    elapsed = time.monotonic() - started
    repaired = link.counters.retransmissions + link.counters.recoveries
    total = _ECHO_ROUNDS * size
    remedy = "; check cable, ground and baud rate" if repaired else ""
    text = f"link echoes {total:,} bytes, {repaired} repaired frames{remedy}"
    yield Finding("problem" if repaired else "ok", board.name, text)
    yield judge_throughput(
        board.name, board.kind.baud if board.backend == "hardware" else None, size, elapsed, board.over
    )
    return 2 * total / elapsed


def judge_throughput(name: str, baud: int | None, size: int, elapsed: float, over: LinkKind = "uart") -> Finding:
    """Hold the speed of `_ECHO_ROUNDS` echoes of `size` bytes against the UART's.

    Args:
        name: of the board.
        baud: bits per second of the UART; None on an emulated board, which has none.
        size: bytes of each echo.
        elapsed: seconds that all of them took.
        over: what they went over.
    """
    # Each echo is an announcement, a CREDIT, and the bytes with header and CRC there and back.
    per_echo = 2 * (size + _CRC_BYTES) + 3 * HEADER_BYTES
    rate = _ECHO_ROUNDS * per_echo / elapsed
    text = f"link carries {rate:,.0f} bytes/s"
    if baud is None:
        return Finding("ok", name, f"{text} (an emulated line, which has no baud rate)")
    share = rate * 10 / baud
    if over != "uart":
        text += _OVER[over]
        if share >= 1:
            return Finding("ok", name, text)
        return Finding(
            "optional", name, f"{text}; the UART at {baud:,} baud would carry {baud / 10:,.0f}: {_SLOW[over]}"
        )
    text += f", {share:.0%} of what {baud:,} baud allow"
    if share > _LATE:
        return Finding("problem", name, f"{text}: the port does not run at the configured baud rate")
    if share < _SLOW_SHARE:
        return Finding(
            "problem",
            name,
            f"{text}; lower the USB bridge's latency timer (/sys/bus/usb-serial/devices/*/latency_timer), avoid hubs",
        )
    return Finding("ok", name, text)


def measure_clock(link: Link, info: Info, byte_s: tuple[float, float]) -> ClockSample:
    """Run batches for about a second, and as many single inferences, whose overhead is the same.

    The difference is what the further inferences took, without what loading and asking took.

    Args:
        link: connected.
        info: what the firmware announced.
        byte_s: seconds that a byte of an answer takes at least, and at most.
    """
    data = bytes(info.input_bytes)
    link.infer(data)
    first = link.infer(data).ticks[0]
    each = max(first / info.counter_hz, 1e-6)
    count = max(2, min(info.max_batch, round(_COUNT_SECONDS / each)))
    batches = max(1, min(_MOST_BATCHES, round(_COUNT_SECONDS / (each * count))))
    wall, ticks = 0.0, 0
    for size, sign in ((count, 1), (1, -1)):
        for _ in range(batches):
            started = time.monotonic()
            result = link.infer(data, size)
            wall += sign * (time.monotonic() - started)
            ticks += sign * sum(result.ticks)
    further = batches * (count - 1) * 4  # bytes: a batch's answer carries the ticks of each inference
    least, most = (further * seconds for seconds in byte_s)
    return ClockSample(wall - (least + most) / 2, ticks, info.counter_hz, (most - least) / 2)


def judge_clock(name: str, sample: ClockSample) -> Finding:
    """Say whether the counter runs at the frequency that the board announces."""
    text = f"counter: {sample.counter_s:.3f} s at {sample.counter_hz / 1e6:g} MHz, {sample.wall_s:.3f} s by the clock"
    if sample.ticks <= 0:
        return Finding("problem", name, f"{text}: the counter stands still; is the debug unit's trace enabled?")
    if sample.unsure_s > _UNSURE * sample.counter_s:
        return Finding(
            "optional",
            name,
            "counter: not held against the clock, since answers take as long on this link as what they answer; an "
            "image with longer inferences (--image) would tell",
        )
    ratio = sample.wall_s / sample.counter_s
    if _EARLY <= ratio <= _LATE:
        return Finding("ok", name, text)
    return Finding(
        "problem",
        name,
        f"{text}: {ratio:.2f} times as long, and latencies would be wrong by this factor. Is the board's clock "
        "what its kind says, and does it run from the crystal?",
    )
