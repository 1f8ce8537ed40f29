"""Boards taken out of use: why, since when, when they are tested again, and how they come back."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from pydantic import AwareDatetime, TypeAdapter, ValidationError

from harness.config.state import now as current_time
from harness.config.state import stamp
from harness.errors import ConfigError, HilError, QuarantinedError, StoreError
from harness.files.json_file import read_json, write_json
from harness.files.json_lines import append_line, locked
from harness.health.trial import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from pathlib import Path

    from harness.config.health import HealthRules

#: Who quarantines by the rules, and who releases by passed tests.
RULES, TEST = "rules", "test"
_MOST_EVIDENCE = 20
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True)
class Retest:
    """One health check of a quarantined board."""

    when: AwareDatetime
    ok: bool
    reason: str


@dataclass(frozen=True)
class Release:
    """The end of a quarantine; `reason` is what was done about it."""

    when: AwareDatetime
    by: str
    reason: str


@dataclass(frozen=True)
class Quarantine:
    """A board that is not used.

    Attributes:
        device: its name.
        reason: why.
        by: "rules", or the person.
        person: whether a person said so; then only a person lifts it.
        since: when it began, UTC.
        evidence: the cases that show it, as run#case.
        retest_after: when it is tested again; None if tests don't lift it.
        tests: so far, the oldest first.
        released: how it came back; None as long as it is out of use.
    """

    device: str
    reason: str
    by: str
    person: bool
    since: AwareDatetime
    evidence: tuple[str, ...] = ()
    retest_after: AwareDatetime | None = None
    tests: tuple[Retest, ...] = ()
    released: Release | None = None

    @property
    def passed(self) -> int:
        """How many of the last tests passed in a row."""
        failed = [number for number, test in enumerate(self.tests, 1) if not test.ok]
        return len(self.tests) - max(failed, default=0)

    @property
    def text(self) -> str:
        """Say why the board isn't used, and what brings it back."""
        back = f"`hil release {self.device}` takes it back"
        if self.retest_after is not None:
            back = f"it is tested again after {self.retest_after:%Y-%m-%d %H:%M} UTC, or {back}"
        said = f"quarantined since {self.since:%Y-%m-%d %H:%M} UTC by {shown(self.by)}: {shown(self.reason)}"
        return f"{said}. To use it: {back}"


_FILE = TypeAdapter(Quarantine)


class Ledger:
    """The files: `quarantine/<device>.json` for each board that is or was out of use, and `history.jsonl`.

    Args:
        state: the state folder.
        rules: when boards are tested again.
        clock: tells the time in UTC.

    Raises:
        ConfigError: the name of a device can't be one, here and in each method.
        StoreError: a file can't be written, or is damaged: then whether its board is well can't be told.
    """

    def __init__(self, state: Path, rules: HealthRules, clock: Callable[[], datetime] = current_time) -> None:
        self._folder = state / "quarantine"
        self._rules = rules
        self._clock = clock

    def quarantined(self, device: str) -> Quarantine | None:
        """Return a board's quarantine; None if it is in use."""
        found = self._read(device)
        return None if found is None or found.released is not None else found

    def released(self, device: str) -> datetime | None:
        """Return when a board last came back; None if it never did, or is out of use."""
        found = self._read(device)
        return None if found is None or found.released is None else found.released.when

    def all_quarantined(self) -> tuple[Quarantine, ...]:
        """Return the boards that are out of use, by name, without those whose file is damaged.

        One damaged file must not keep the rules from the other boards.
        """
        found = []
        for path in sorted(self._folder.glob("[!.]*.json")):
            with suppress(HilError):
                found.append(self.quarantined(path.stem))
        return tuple(quarantine for quarantine in found if quarantine is not None)

    def check(self, device: str) -> None:
        """Refuse a board that is out of use.

        Raises:
            QuarantinedError: it is; says why, since when, and what brings it back.
        """
        found = self.quarantined(device)
        if found is not None:
            raise QuarantinedError(f"{device}: {found.text}")

    def quarantine_by_rules(self, device: str, reason: str, evidence: Sequence[str]) -> Quarantine | None:
        """Take a board out of use; None if it is already."""
        now = self._clock()
        after, shortened = now + timedelta(hours=self._rules.retest_hours[0]), tuple(evidence[-_MOST_EVIDENCE:])
        made = Quarantine(device, shown(reason), RULES, person=False, since=now, evidence=shortened, retest_after=after)
        with locked(self._path(device)):
            return None if self.quarantined(device) is not None else self._begin(made)

    def quarantine(self, device: str, reason: str, by: str) -> Quarantine:
        """Take a board out of use until a person releases it, whatever the tests say.

        Raises:
            ConfigError: there is no reason.
        """
        if not reason.strip():
            raise ConfigError(f"{device}: say why it is quarantined, for the next one who misses it")
        with locked(self._path(device)):
            return self._begin(Quarantine(device, shown(reason), shown(by), person=True, since=self._clock()))

    def release(self, device: str, by: str, why: str = "", when: datetime | None = None) -> Quarantine:
        """Take a board back, and return what it was out for. What it did before isn't held against it again.

        Args:
            device: its name.
            by: who says so.
            why: what was done about it.
            when: None for now.

        Raises:
            ConfigError: it isn't quarantined.
        """
        missing = ConfigError(f"{device} is not quarantined; `hil health` lists the boards that are")
        if self.quarantined(device) is None:  # without a trace of a name that nobody knows
            raise missing
        with locked(self._path(device)):
            found = self.quarantined(device)
            if found is None:
                raise missing
            self._release(found, by, why, when or self._clock())
        return found

    def tested(self, device: str, *, ok: bool, reason: str) -> Quarantine | None:
        """Note a health check of a quarantined board: enough passed ones in a row release it, unless a person must.

        Returns:
            Its quarantine; None if it is in use now.
        """
        if self.quarantined(device) is None:
            return None
        with locked(self._path(device)):
            found, now = self.quarantined(device), self._clock()
            if found is None:
                return None
            found = replace(found, tests=(*found.tests, Retest(now, ok, shown(reason))))
            self._log(device, "passed a test" if ok else "failed a test", TEST, reason, now)
            if not found.person and found.passed >= self._rules.passes:
                self._release(found, TEST, f"passed {found.passed} tests in a row", now)
                return None
            if not found.person:
                hours = self._rules.retest_hours
                failed = sum(not test.ok for test in found.tests)
                wait = hours[0] if ok else hours[min(failed, len(hours) - 1)]
                found = replace(found, retest_after=now + timedelta(hours=wait))
            self._write(found)
            return found

    def due(self) -> tuple[Quarantine, ...]:
        """Return the boards that are to be tested now, the longest overdue first."""
        now = self._clock()
        waiting = [(found.retest_after, found) for found in self.all_quarantined() if found.retest_after is not None]
        return tuple(found for after, found in sorted(waiting, key=lambda pair: pair[0]) if after <= now)

    def _begin(self, made: Quarantine) -> Quarantine:
        self._write(made)
        self._log(made.device, "quarantined", made.by, made.reason, made.since, made.evidence)
        return made

    def _release(self, found: Quarantine, by: str, why: str, now: datetime) -> None:
        self._write(replace(found, released=Release(now, shown(by), shown(why))))
        self._log(found.device, "released", by, why, now)

    def _log(self, device: str, what: str, by: str, reason: str, now: datetime, evidence: tuple[str, ...] = ()) -> None:
        line = {"when": stamp(now), "device": device, "what": what, "by": shown(by), "reason": shown(reason)}
        append_line(self._folder / "history.jsonl", {**line, "evidence": list(evidence)})

    def _write(self, found: Quarantine) -> None:
        path = self._path(found.device)
        try:
            write_json(path, _FILE.dump_python(found, mode="json"))
        except OSError as error:
            raise StoreError(f"{path} can't be written: {error.strerror or error}") from error

    def _read(self, device: str) -> Quarantine | None:
        path = self._path(device)
        content = read_json(path) or (read_json(path) if path.exists() else None)  # it may have been made just now
        if content is None and path.exists():
            raise StoreError(
                f"{path} is damaged, so whether {device} may be used isn't known; look at it, and remove it"
            )
        try:
            return None if content is None else _FILE.validate_json(json.dumps(content), strict=True)
        except ValidationError as error:
            wrong = ".".join(map(str, error.errors()[0]["loc"]))
            raise StoreError(
                f"{path} is not a quarantine's file: {wrong} is missing or wrong; look at it, and remove it"
            ) from error

    def _path(self, device: str) -> Path:
        return self._folder / f"{checked_name(device, 'the device')}.json"


def checked_name(name: str, what: str) -> str:
    """Return a name that becomes one of a file.

    Raises:
        ConfigError: it could be a path, or something else that isn't a name.
    """
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"{what} {shown(repr(name))} can't be the name of a file: expected up to 64 letters, digits, dots, dashes "
            "and underscores, a letter or digit first. A host can be named with HIL_HOST"
        )
    return name
