"""Keeps an eye on a farm for the status page: looks when somebody asks, and not more often than every few seconds."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from harness.config import Lab
from harness.errors import ConfigError
from harness.farm.asking import Asking
from harness.farm.facts import line
from harness.farm.look_history import board_history
from harness.farm.look_labgrid import PlacesSeen, held_places
from harness.farm.look_nights import find_night, night_cases, read_night, run_of_night
from harness.farm.look_runs import find_run_folder, read_report, run_cases
from harness.farm.look_usb import missing_boards
from harness.farm.state import find_state, now
from harness.farm.status import snapshot

if TYPE_CHECKING:
    from pathlib import Path

    from harness.farm.look_history import History
    from harness.farm.seen import BoardSeen, NightSeen, Status

_FRESH_S = 5.0
#: For what is plugged in, and for labgrid.
_SLOW_FRESH_S = 60.0


class Watch:
    """Answers the page's questions. Any number of threads may ask.

    Args:
        lab: as it is now; its file is read again when it changes.
        results: the results folder.
    """

    def __init__(self, lab: Lab, results: Path) -> None:
        self._lab, self._results = lab, results
        self._lock = threading.Lock()
        self._status: tuple[float, Status] | None = None
        self._missing = Asking[dict[str, str]](lambda: missing_boards(self._lab), {}, _SLOW_FRESH_S)
        self._places = Asking(lambda: held_places(self._lab), PlacesSeen(), _SLOW_FRESH_S)
        self._edited = _edited(lab)

    def status(self) -> Status:
        """Return the farm as it was a few seconds ago at most."""
        with self._lock:  # whoever comes meanwhile waits for this look instead of looking, too
            if self._status is None or time.monotonic() - self._status[0] > _FRESH_S:
                wrong = self._read_lab()
                found = snapshot(self._lab, self._results, now(), self._missing.get(), self._places.get())
                if wrong:
                    found = replace(found, unknown=(wrong, *found.unknown))
                self._status = time.monotonic(), found
            return self._status[1]

    def board(self, name: str) -> tuple[BoardSeen, History] | None:
        """Return a board of devices.yaml and what is known of it; None if there is none of that name."""
        board = next((one for one in self.status().boards if one.name == name), None)
        if board is None:
            return None
        return board, board_history(self._lab, find_state(self._lab), board.name, now())

    def night(self, name: str) -> tuple[NightSeen, list[dict[str, str]]] | None:
        """Return a night and its cases: those of its run once that has ended; None if there is none of that name."""
        try:
            folder = find_night(find_state(self._lab), name)
        except OSError:
            return None
        if folder is None:
            return None
        rows = run_cases(run_of_night(folder, self._results))
        if rows is None:
            cases = night_cases(folder, self._results, now())
        else:
            cases = [{**row, "number": row["case"]} for row in rows]
        return read_night(folder, self._results, now()), cases

    def report_of_run(self, name: str) -> bytes | None:
        """Return the report of a run, None if there is no such run or it has none."""
        try:
            folder = find_run_folder(self._results, name)
        except OSError:
            return None
        return None if folder is None else read_report(folder)

    def report_of_night(self, name: str) -> bytes | None:
        """Return the report of a night, None if there is no such night or it has none."""
        try:
            folder = find_night(find_state(self._lab), name)
        except OSError:
            return None
        return None if folder is None else read_report(folder)

    def _read_lab(self) -> str:
        """Read devices.yaml again if it was edited, and return what is wrong with it; then the old one still counts."""
        edited = _edited(self._lab)
        if self._lab.path is None or edited == self._edited:
            return ""
        try:
            self._lab = Lab.load(self._lab.path)
        except ConfigError as error:
            return f"{line(str(error))}; shown is what it said before"
        self._edited = edited
        return ""


def _edited(lab: Lab) -> tuple[int, int] | None:
    """Return what changes when devices.yaml does; None if it isn't there."""
    try:
        about = None if lab.path is None else lab.path.stat()
    except OSError:
        return None
    return None if about is None else (about.st_mtime_ns, about.st_size)
