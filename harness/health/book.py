"""The book of the boards' health: what happened on each, kept as files that the hosts of a farm share."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from harness.config.health import HealthRules
from harness.errors import StoreError
from harness.files.json_lines import append_line, read_lines, rewrite_lines
from harness.health.event import Event, as_line, checked_name, from_line
from harness.health.quarantine import Ledger
from harness.health.rules import Ground, Health, gather, judge
from harness.locks.state import now as current_time

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from pathlib import Path
    from typing import Any

    from harness.health.quarantine import Quarantine

_MOST_EVENTS = 500
_LONGEST = timedelta(days=90)
#: So large a file is made smaller: what is kept is at most about half of it.
_LARGE_BYTES = 2 << 20


@dataclass(frozen=True)
class Judged:
    """A board's health, why it should be out of use, and whether it is."""

    health: Health
    grounds: tuple[Ground, ...]
    quarantine: Quarantine | None


class HealthBook:
    """Events in `health/<host>/<device>.jsonl`, quarantines in `quarantine/`; any number of processes may use it.

    Args:
        state: the state folder.
        rules: thresholds.
        clock: tells the time in UTC.
    """

    def __init__(
        self, state: Path, rules: HealthRules | None = None, clock: Callable[[], datetime] = current_time
    ) -> None:
        self._folder = state / "health"
        self._rules = rules or HealthRules()
        self._clock = clock
        self.ledger = Ledger(state, self._rules)

    def record(self, event: Event) -> None:
        """Add what a case told about its board.

        Raises:
            ConfigError: the name of the device or the host can't be a file's.
            StoreError: it can't be written.
        """
        path = self._path(event.host, event.device)
        if append_line(path, as_line(event)) > _LARGE_BYTES:
            self.compact(event.host, event.device)

    def compact(self, host: str, device: str) -> None:
        """Leave the last 500 events of a board, none older than 90 days."""
        oldest = self._clock() - _LONGEST

        def keep(lines: Sequence[dict[str, Any]]) -> Sequence[dict[str, Any]]:
            recent = [line for line in lines if (event := from_line(line)) is not None and event.when >= oldest]
            return recent[-_MOST_EVENTS:]

        rewrite_lines(self._path(host, device), keep)

    def events(self) -> tuple[Event, ...]:
        """Return what is known of all boards on all hosts, in the order of time; damaged lines are left out.

        Raises:
            StoreError: a file can't be read.
        """
        lines = (line for path in sorted(self._folder.glob("*/*.jsonl")) for line in read_lines(path))
        found = (event for line in lines if (event := from_line(line)) is not None)
        return tuple(sorted(found, key=lambda event: event.when))

    def review(self) -> tuple[Quarantine, ...]:
        """Apply the rules to every board, and return the ones that are quarantined now and weren't before.

        It looks at all of them, since a success on one board can show that another's failures are its own.

        Raises:
            StoreError: a file can't be read or written.
        """
        made = []
        events = self.events()
        names = sorted({event.device for event in events})
        for judged in self._judged([name for name in names if self._readable(name)], events):
            if judged.grounds and judged.quarantine is None:
                ground = _together(judged.grounds)
                quarantine = self.ledger.by_rules(judged.health.device, ground, self._clock())
                made += [quarantine] if quarantine is not None else []
        return tuple(made)

    def summary(self, device: str) -> Judged:
        """Judge one board."""
        return self._judged([device], self.events())[0]

    def all(self) -> tuple[Judged, ...]:
        """Judge every board that something is known of, by name."""
        events = self.events()
        names = {event.device for event in events} | {found.device for found in self.ledger.all()}
        return self._judged(sorted(names), events)

    def check(self, device: str) -> None:
        """Refuse a board that is out of use.

        Raises:
            QuarantinedError: it is; says why, since when, and what brings it back.
            StoreError: that can't be told, because its file is damaged.
        """
        self.ledger.check(device)

    def quarantined(self, device: str) -> Quarantine | None:
        """Return a board's quarantine; None if it is in use."""
        return self.ledger.get(device)

    def quarantine(self, device: str, reason: str, by: str) -> Quarantine:
        """Take a board out of use, because a person says so.

        Raises:
            ConfigError: there is no reason.
        """
        return self.ledger.by_person(device, reason, by, self._clock())

    def release(self, device: str, by: str, why: str = "") -> Quarantine:
        """Take a board back. What it did before isn't held against it again.

        Raises:
            ConfigError: it isn't quarantined.
        """
        seen = [event.when for event in self.events() if event.device == device]  # by a clock that may be ahead of ours
        return self.ledger.release(device, by, why, max([self._clock(), *seen]))

    def tested(self, device: str, *, ok: bool, reason: str) -> Quarantine | None:
        """Note a health check; returns the board's quarantine, None if it is in use now."""
        return self.ledger.tested(device, self._clock(), ok=ok, reason=reason)

    def due(self) -> tuple[Quarantine, ...]:
        """Return the quarantined boards that are to be tested now."""
        return self.ledger.due(self._clock())

    def _judged(self, devices: Sequence[str], events: Sequence[Event]) -> tuple[Judged, ...]:
        evidence = gather(events, self._rules, self._clock(), self._released(events))
        judged = []
        for device in devices:
            health, grounds = judge(device, evidence)
            quarantine = self.ledger.get(device)
            if quarantine is not None:
                health = replace(health, state="quarantined")
            judged.append(Judged(health, grounds, quarantine))
        return tuple(judged)

    def _readable(self, device: str) -> bool:
        """Whether the file of a board's quarantine is sound; if it isn't, the board isn't used anyway."""
        try:
            self.ledger.get(device)
            self.ledger.released(device)
        except StoreError:
            return False
        return True

    def _released(self, events: Sequence[Event]) -> dict[str, datetime]:
        devices = {event.device for event in events}
        found = ((device, self.ledger.released(device)) for device in devices if self._readable(device))
        return {device: when for device, when in found if when is not None}

    def _path(self, host: str, device: str) -> Path:
        return self._folder / checked_name(host, "the host") / f"{checked_name(device, 'the device')}.jsonl"


def _together(grounds: Sequence[Ground]) -> Ground:
    """Put several grounds into one; each case is named once."""
    evidence = dict.fromkeys(reference for ground in grounds for reference in ground.evidence)
    return Ground("; ".join(ground.reason for ground in grounds), tuple(evidence))
