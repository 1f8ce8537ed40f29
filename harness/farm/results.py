"""The results of a night as its one writer keeps them: a case counts once its result is on the disk."""

from __future__ import annotations

import json
import os
import re
from collections import Counter, defaultdict
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from harness.config.state import hostname
from harness.errors import StoreError
from harness.farm.dispatch import Standing, Try, standings
from harness.farm.night import TRIES
from harness.store.commits import committed
from harness.store.folders import writer_name
from harness.store.journal import write_error
from harness.store.runs import Run

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from harness.farm.night import Night, PlannedCase

#: What a worker may send of a run besides its journal: a file of these folders, in no folder of its own.
_FILE = re.compile(r"(?P<folder>logs|power)/(?P<file>(?!\.\.?$)[^/\\\0]+)")


class NightResults:
    """What came of a night's cases so far, and the run that gets more.

    Args:
        night: the night.
        about: what the run is about, if it is new.
        writer: in short, who adds to the run.

    Attributes:
        tries: in the order in which they ended.
        done: numbers of the cases that have their result.
        run: to be closed.
    """

    def __init__(self, night: Night, about: Mapping[str, Any], writer: str) -> None:
        self._night = night
        self.tries = read_tries(night.folder)
        self.done = set(committed(night.run))
        self._earlier = defaultdict(int, Counter(one.case for one in self.tries if one.outcome == "lost"))
        self.run = Run.join(night.run, about, writer_name(hostname(), writer))

    def standings(self) -> defaultdict[int, Standing]:
        """Return the standing of each case by its number."""
        return standings(self.tries, self.done)

    def add(self, one: Try) -> None:
        """Write down how a try ended.

        Raises:
            StoreError: that can't be written.
        """
        add_try(self._night.folder, one)
        self.tries.append(one)
        if one.outcome == "lost":
            self._earlier[one.case] += 1

    def take(self, case: PlannedCase, told: Mapping[str, Any]) -> None:
        """Take over what a worker recorded.

        Raises:
            StoreError: it is damaged, or can't be written.
        """
        files = [(_checked(name), content) for name, content in told["files"].items()]  # before anything is written
        self._earlier[case.number] += self.run.import_case(case.number, told["journal"], self._earlier[case.number])
        for (folder, file), content in files:
            if folder == "logs":
                self.run.log(file.removesuffix(".log"), content.decode("utf-8", "replace"))
                continue
            path = self._night.run / folder / file
            try:
                path.parent.mkdir(exist_ok=True)
                path.write_bytes(content)
            except OSError as error:
                raise write_error(path, error, self._night.run) from error
        if case.number in committed(self._night.run):
            self.done.add(case.number)

    def end(self, case: PlannedCase, status: Any, reason: str, attempts: int | None = None) -> None:
        """Give a row to a case that no board has ended; it says how many attempts there were, unless that is given."""
        last = next((one for one in reversed(self.tries) if one.case == case.number), None)
        record = self.run.begin_case(
            number=case.number,
            device=case.target if last is None else last.device,
            board=case.kind,
            backend=case.backend,
            suite=case.task,
            variant=case.variant,
            pool=case.pool,
            host=hostname(),
        )
        tried = self._earlier[case.number] if attempts is None else attempts
        record.finish(status=status, reason=reason, image_sha256=case.image_sha256, attempts=tried)
        self.done.add(case.number)

    def end_all(self, left_s: float) -> None:
        """Give a row to each case that was not measured.

        Args:
            left_s: seconds until the night is over.
        """
        states = self.standings()
        for case in self._night.cases:
            if case.number not in self.done:
                status, reason = _why_left(case, states[case.number], left_s)
                self.end(case, status, reason, 0)  # those of the boards are added


def add_try(night: Path, one: Try) -> None:
    """Write down how a try ended.

    Raises:
        StoreError: that can't be written.
    """
    line = json.dumps(asdict(one)).encode() + b"\n"
    try:
        file = os.open(night / TRIES, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            os.write(file, line)
        finally:
            os.close(file)
    except OSError as error:
        raise StoreError(f"{night / TRIES} can't be written: {error.strerror or error}") from error


def read_tries(night: Path) -> list[Try]:
    """Return the tries of a night in the order in which they ended; a line that a kill has torn is left out."""
    try:
        lines = (night / TRIES).read_bytes().splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        try:
            found.append(Try(**json.loads(line)))
        except (ValueError, TypeError):
            continue
    return found


def _checked(name: str) -> tuple[str, str]:
    """Return folder and file of what a worker sent, which may be no other place than these.

    Raises:
        StoreError: it would lie elsewhere.
    """
    if (match := _FILE.fullmatch(name)) is None:
        raise StoreError(
            f"a worker sent the file {name!r}, and only files right in logs/ and power/ are taken: what it sent is "
            "damaged, or its harness is another one; nothing of it was written"
        )
    return match["folder"], match["file"]


def _why_left(case: PlannedCase, state: Standing, left_s: float) -> tuple[str, str]:
    """Return the status of a case that has no result, and why."""
    if state.failed or state.deaths:
        why = [f"{device}: {reason}" for device, reason in state.failed.items()]
        why += [f"{state.deaths} of its workers died"] * bool(state.deaths)
        return "failed", "; ".join(why)
    if left_s <= (case.seconds or 0.0):
        return "skipped", "out of time"
    return "skipped", (
        f"no board could take it: none of {', '.join(case.devices)} was free, well and offered by a worker"
    )
