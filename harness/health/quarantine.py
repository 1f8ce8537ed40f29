"""Boards taken out of use: why, since when, when they are tested again, and how they come back."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from harness.errors import ConfigError, HilError, QuarantinedError, StoreError
from harness.files.json_file import read_json, write_json
from harness.files.json_lines import append_line, locked
from harness.health.event import checked_name, shown
from harness.locks.state import stamp

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from harness.config.health import HealthRules
    from harness.health.rules import Ground

#: Who quarantines by the rules, and who releases by passed tests.
RULES, TEST = "rules", "test"
_MOST_EVIDENCE = 20


@dataclass(frozen=True)
class Retest:
    """One health check of a quarantined board."""

    when: datetime
    ok: bool
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
    """

    device: str
    reason: str
    by: str
    person: bool
    since: datetime
    evidence: tuple[str, ...] = ()
    retest_after: datetime | None = None
    tests: tuple[Retest, ...] = ()

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
        return f"quarantined since {self.since:%Y-%m-%d %H:%M} UTC by {self.by}: {self.reason}. To use it: {back}"


class Ledger:
    """The files: `quarantine/<device>.json` for each board that is or was out of use, and `history.jsonl`.

    Args:
        state: the state folder.
        rules: when boards are tested again.
    """

    def __init__(self, state: Path, rules: HealthRules) -> None:
        self._folder = state / "quarantine"
        self._rules = rules

    def get(self, device: str) -> Quarantine | None:
        """Return a board's quarantine; None if it is in use.

        Raises:
            ConfigError: the name can't be a device's.
            StoreError: the file is damaged: whether the board is well can't be told.
        """
        content = self._read(device)
        return None if content is None or content.get("released") else _quarantine(self._path(device), content)

    def released(self, device: str) -> datetime | None:
        """Return when a board last came back; None if it never did, or is out of use. Raises as `get`."""
        content = self._read(device)
        released = content.get("released") if content else None
        try:
            return datetime.fromisoformat(released["when"]) if released else None
        except (KeyError, TypeError, ValueError) as error:
            raise _strange(self._path(device), error) from error

    def all(self) -> tuple[Quarantine, ...]:
        """Return the boards that are out of use, by name, without those whose file is damaged: `get` says so of them.

        One damaged file must not keep the rules from the other boards.
        """
        found = []
        for path in sorted(self._folder.glob("[!.]*.json")):
            with suppress(HilError):
                found.append(self.get(path.stem))
        return tuple(quarantine for quarantine in found if quarantine is not None)

    def check(self, device: str) -> None:
        """Refuse a board that is out of use.

        Raises:
            QuarantinedError: it is; says why, since when, and what brings it back.
        """
        found = self.get(device)
        if found is not None:
            raise QuarantinedError(f"{device}: {found.text}")

    def by_rules(self, device: str, ground: Ground, now: datetime) -> Quarantine | None:
        """Take a board out of use; None if it is already.

        Raises:
            StoreError: it can't be written.
        """
        retest = now + timedelta(hours=self._rules.retest_hours[0])
        return self._add(
            Quarantine(device, shown(ground.reason), RULES, False, now, ground.evidence[-_MOST_EVIDENCE:], retest)  # noqa: FBT003
        )

    def by_person(self, device: str, reason: str, by: str, now: datetime) -> Quarantine:
        """Take a board out of use until a person releases it, whatever the tests say.

        Raises:
            ConfigError: there is no reason.
            StoreError: it can't be written.
        """
        if not reason.strip():
            raise ConfigError(f"{device}: say why it is quarantined, for the next one who misses it")
        made = Quarantine(device, shown(reason), shown(by), True, now)  # noqa: FBT003
        self._add(made, over=True)
        return made

    def release(self, device: str, by: str, why: str, now: datetime) -> Quarantine:
        """Take a board back, and return what it was out for.

        Raises:
            ConfigError: it isn't quarantined.
            StoreError: it can't be written.
        """
        missing = ConfigError(f"{device} is not quarantined; `hil health` lists the boards that are")
        if self.get(device) is None:  # without a trace of a name that nobody knows
            raise missing
        with locked(self._path(device)):
            found = self.get(device)
            if found is None:
                raise missing
            self._release(found, by, why, now)
        return found

    def tested(self, device: str, now: datetime, *, ok: bool, reason: str) -> Quarantine | None:
        """Note a health check of a quarantined board: enough passed ones in a row release it, unless a person must.

        Returns:
            Its quarantine; None if it is in use now.

        Raises:
            StoreError: it can't be written.
        """
        if self.get(device) is None:
            return None
        with locked(self._path(device)):
            found = self.get(device)
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

    def due(self, now: datetime) -> tuple[Quarantine, ...]:
        """Return the boards that are to be tested now, the longest overdue first."""
        waiting = [(found.retest_after, found) for found in self.all() if found.retest_after is not None]
        ready = [(after, found) for after, found in waiting if after <= now]
        return tuple(found for _, found in sorted(ready, key=lambda pair: pair[0]))

    def _add(self, made: Quarantine, *, over: bool = False) -> Quarantine | None:
        with locked(self._path(made.device)):
            if not over and self.get(made.device) is not None:
                return None
            self._write(made)
            self._log(made.device, "quarantined", made.by, made.reason, made.since, made.evidence)
        return made

    def _release(self, found: Quarantine, by: str, why: str, now: datetime) -> None:
        self._write(found, {"when": stamp(now), "by": shown(by), "reason": shown(why)})
        self._log(found.device, "released", by, why, now)

    def _log(self, device: str, what: str, by: str, reason: str, now: datetime, evidence: tuple[str, ...] = ()) -> None:
        line = {"when": stamp(now), "device": device, "what": what, "by": shown(by), "reason": shown(reason)}
        append_line(self._folder / "history.jsonl", {**line, "evidence": list(evidence)})

    def _write(self, found: Quarantine, released: Mapping[str, str] | None = None) -> None:
        content = {**_plain(found), "released": released}
        path = self._path(found.device)
        try:
            write_json(path, content)
        except OSError as error:
            raise StoreError(f"{path} can't be written: {error.strerror or error}") from error

    def _read(self, device: str) -> dict[str, Any] | None:
        path = self._path(device)
        content = read_json(path)
        if content is None and path.exists():  # perhaps since a moment ago: then it is whole now
            content = read_json(path)
        if content is None and path.exists():
            raise StoreError(
                f"{path} is damaged, so whether {device} may be used isn't known; look at it, and remove it"
            )
        return content

    def _path(self, device: str) -> Path:
        return self._folder / f"{checked_name(device, 'the device')}.json"


def _plain(found: Quarantine) -> dict[str, Any]:
    return {
        **asdict(found),
        "since": stamp(found.since),
        "retest_after": None if found.retest_after is None else stamp(found.retest_after),
        "tests": [{**asdict(test), "when": stamp(test.when)} for test in found.tests],
    }


def _quarantine(path: Path, content: Mapping[str, Any]) -> Quarantine:
    try:
        after = content["retest_after"]
        return Quarantine(
            device=str(content["device"]),
            reason=shown(content["reason"]),
            by=shown(content["by"]),
            person=bool(content["person"]),
            since=datetime.fromisoformat(content["since"]),
            evidence=tuple(content["evidence"]),
            retest_after=None if after is None else datetime.fromisoformat(after),
            tests=tuple(
                Retest(datetime.fromisoformat(test["when"]), test["ok"] is True, shown(test["reason"]))
                for test in content["tests"]
            ),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _strange(path, error) from error


def _strange(path: Path, error: Exception) -> StoreError:
    return StoreError(f"{path} is not a quarantine's file: {error!r}; look at it, and remove it")
