"""What Renode's log says about the firmware: accesses to nothing, and a CPU that has stopped."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Renode answers such an access with 0 and a warning, where a real board faults.
_NOTHING_THERE = re.compile(r"(read|write)\w* (?:from|to) non existing peripheral at 0x([0-9A-F]+)", re.IGNORECASE)
_STOPPED = re.compile(r"CPU abort|CPU was halted|lock(?:ed)?[ -]?up", re.IGNORECASE)
#: Registers of the flash controller that the firmware sets, and that have no effect on what it computes.
_HARMLESS = range(0x4001E000, 0x4001F000)
_PERIPHERALS = (range(0x40000000, 0x60000000), range(0xE0000000, 0x1_0000_0000))
_MOST = 3
_KEPT = 1000  # different messages of a kind
_LONGEST = 10_000  # bytes of a line; what is longer counts as several


@dataclass(frozen=True)
class LogFindings:
    """What a part of the log says, each line once.

    Attributes:
        stopped: the CPU can't go on.
        wild: accesses where a real chip has neither memory nor peripherals.
        unmodelled: accesses to peripherals that the emulated chip lacks.
    """

    stopped: tuple[str, ...]
    wild: tuple[str, ...]
    unmodelled: tuple[str, ...]

    @property
    def fault(self) -> str | None:
        """Why the firmware can't be trusted to have done what a board would do; None if nothing speaks against it."""
        worst = self.stopped or self.wild
        if not worst:
            return None
        more = f" (and {len(worst) - _MOST} more)" if len(worst) > _MOST else ""
        return f"Renode's log says: {' | '.join(worst[:_MOST])}{more}"


def read_log(path: Path, start: int) -> LogFindings:
    """Read the log from byte `start` on; a log that can't be read says nothing."""
    stopped: dict[str, None] = {}
    wild: dict[str, None] = {}
    unmodelled: dict[str, None] = {}
    for line in _lines(path, start):
        access = _NOTHING_THERE.search(line)
        if access:
            address = int(access.group(2), 16)
            if address in _HARMLESS:
                continue
            found = unmodelled if any(address in space for space in _PERIPHERALS) else wild
        elif _STOPPED.search(line):
            found = stopped
        else:
            continue
        if len(found) < _KEPT:
            # Without time and level, the same message is the same message.
            found[re.sub(r"^(\S+ )?\[[^]]*\] ?(\[[^]]*\] ?)?", "", line).strip()] = None
    return LogFindings(tuple(stopped), tuple(wild), tuple(unmodelled))


def _lines(path: Path, start: int) -> Iterator[str]:
    """Yield the lines one by one: firmware that runs wild fills the log faster than anybody could keep it."""
    with suppress(OSError), path.open("rb") as file:
        file.seek(start)
        while line := file.readline(_LONGEST):
            yield line.decode(errors="replace")


def log_size(path: Path) -> int:
    """Return how long the log is now, bytes."""
    try:
        return path.stat().st_size
    except OSError:
        return 0
