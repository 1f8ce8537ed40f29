"""How long the host waits for a board, and what the link had to repair."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timing:
    """How long the host waits, seconds.

    Attributes:
        boot: for the first answer after a reset.
        reply: for an answer that needs no inference, beyond the time its bytes take on the line.
        inference: for the first inference; later ones are allowed ten times the slowest so far. `reply` is added.
        quiet: silence after damaged bytes that says that nothing more will come.
        step: for an answer while recovering; longer than the round trip of any USB bridge (16 ms for FTDI's). Where
            answers come but late, from a busy host or over a network, it is waited for 4 and then 16 times as long.
        baud: bits per second of the line.
    """

    boot: float = 5.0
    reply: float = 2.0
    inference: float = 60.0
    quiet: float = 0.1
    step: float = 0.04
    baud: int = 1_000_000

    def line(self, size: int) -> float:
        """Seconds that `size` bytes take on the line (8N1: 10 bits each)."""
        return size * 10 / self.baud


@dataclass
class LinkCounters:
    """What the link had to repair since it was opened."""

    retransmissions: int = 0
    recoveries: int = 0
    damaged_replies: int = 0
