"""Who holds a board: what a lease's file says, and how a person reads it."""

from __future__ import annotations

import os
import sys
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from harness.config.state import hostname, now

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_PURPOSE_LENGTH = 60
_TEXT_LENGTH = 200
_HOUR_MIN, _DAY_MIN = 60, 24 * 60


@dataclass(frozen=True)
class Holder:
    """Who holds one probe, port or virtual board.

    Attributes:
        device: its name in the holder's devices.yaml.
        kind: of board; "" if that wasn't said.
        what: is held: `probe`, `port` or `virtual`.
        key: what tells it from others of that sort.
        host: the computer that it is attached to.
        owner: the user; "" if nobody knows.
        pid: of the process.
        purpose: the command, in short.
        run: the run's id, None if it has none.
        since: when it was taken, ISO 8601 in UTC.
        heartbeat: when the holder last showed that it is alive, likewise.
        beat_s: the same by the computer's monotonic clock, which no time server sets and no sleep of it advances.
        ttl_s: after so many seconds without a heartbeat others may take it.
        generation: drawn anew for each lease, so that a holder notices when it was replaced.
    """

    device: str
    kind: str
    what: str
    key: str
    host: str
    owner: str
    pid: int
    purpose: str
    run: str | None
    since: str
    heartbeat: str
    beat_s: float
    ttl_s: float
    generation: str

    @classmethod
    def parse(cls, content: Mapping[str, Any] | None) -> Self | None:
        """Return what a file holds, None if it is no holder's; any user may have written it, so nothing is trusted."""
        if content is None:
            return None
        values: dict[str, Any] = {field.name: content.get(field.name) for field in fields(cls)}
        texts = [name for name in values if name not in ("pid", "beat_s", "ttl_s", "run")]
        if not all(isinstance(values[name], str) for name in texts) or not isinstance(values["run"], str | None):
            return None
        if not all(isinstance(values[name], int | float) for name in ("pid", "beat_s", "ttl_s")):
            return None
        if not values["generation"].isalnum():
            return None
        for name in (*texts, "run"):
            values[name] = None if values[name] is None else printable(values[name], _TEXT_LENGTH)
        return cls(**values)

    def as_json(self) -> dict[str, Any]:
        """Return what goes into the file."""
        return asdict(self)

    def state(self, monotonic_s: float) -> Literal["held", "expired"]:
        """Say whether the holder still shows that it is alive.

        Args:
            monotonic_s: `time.monotonic()` of this computer.
        """
        return "expired" if monotonic_s - self.beat_s > self.ttl_s else "held"

    def words(self, monotonic_s: float) -> str:
        """Say who holds it, why and since when."""
        if not self.owner:
            return "by another run that left no name"
        where = "this program" if (self.pid, self.host) == (os.getpid(), hostname()) else f"process {self.pid}"
        text = f"by {self.owner} ({self.purpose}; {where} on {self.host}) since {since_words(self.since)}"
        if self.state(monotonic_s) == "expired":
            text += f", no sign of life since {since_words(self.heartbeat)}"
        return text


def since_words(stamp: str) -> str:
    """Return a time of a file in words, like `14:02, 12 min`: this computer's time of day, and how long ago."""
    try:
        when = datetime.fromisoformat(stamp)
        minutes = max(0, int((now() - when).total_seconds() // 60))
    except (ValueError, TypeError):  # somebody else's file
        return "nobody knows when"
    ago = f"{minutes} min" if minutes < _HOUR_MIN else f"{minutes / _HOUR_MIN:.1f} h"
    return f"{when.astimezone():{'%H:%M' if minutes < _DAY_MIN else '%Y-%m-%d %H:%M'}}, {ago}"


def purpose_of(argv: Sequence[str]) -> str:
    """Return a command in short: the names of program and files, without their folders."""
    program = Path(argv[0]) if argv and argv[0] else Path("python")
    name = program.parent.name if program.name == "__main__.py" else program.stem
    words = [word if word.endswith("/") or "=" in word else word.rpartition("/")[2] for word in argv[1:]]
    return printable(" ".join([name, *words]), _PURPOSE_LENGTH)


def own_purpose() -> str:
    """Return this process's command in short; $HIL_PURPOSE if another one gave it its work."""
    said = os.environ.get("HIL_PURPOSE")
    return printable(said, _PURPOSE_LENGTH) if said else purpose_of(sys.argv)


def printable(text: str, most: int) -> str:
    """Return a text that does no harm to a terminal, on one line, of at most so many characters."""
    clean = "".join(letter if letter.isprintable() else "?" for letter in text)
    return clean if len(clean) <= most else f"{clean[: most - 3]}..."
