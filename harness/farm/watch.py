"""Keeps an eye on a farm for the status page: looks when somebody asks, and not more often than every few seconds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from harness.config import Lab, find_lab
from harness.errors import ConfigError
from harness.farm.asking import Asking
from harness.farm.facts import line
from harness.farm.look_history import board_history
from harness.farm.look_labgrid import PlacesSeen, held_places
from harness.farm.look_nights import find_night, night_cases, read_night, run_of_night
from harness.farm.look_runs import find_run_folder, read_report, run_cases
from harness.farm.look_usb import Unplugged, unplugged_boards
from harness.farm.seen import Status
from harness.farm.status import snapshot
from harness.locks.state import find_state, now
from harness.text.times import show_time

if TYPE_CHECKING:
    from harness.farm.look_history import History
    from harness.farm.seen import BoardSeen, NightSeen

_FRESH_S = 5.0
#: For what is plugged in, and for labgrid.
_SLOW_FRESH_S = 60.0
_SLOW_PATIENCE_S = 1.0
#: A visitor waits so long for folders that don't answer, and is then shown how it was.
_PATIENCE_S = 10.0


class Watch:
    """Answers the page's questions. Any number of threads may ask.

    Args:
        lab: as it is now; its file is read again when it changes.
        results: the results folder.
        patience_s: how long a visitor waits for folders that don't answer.
    """

    def __init__(self, lab: Lab, results: Path, *, patience_s: float = _PATIENCE_S) -> None:
        self._lab, self._results, self._patience_s = lab, results, patience_s
        self._status = Asking[Status | None](self._look, None, _FRESH_S, patience_s)
        not_yet = "isn't known yet; that takes some seconds"
        self._unplugged = Asking(
            lambda: unplugged_boards(self._lab),
            Unplugged(unknown=f"what is plugged in {not_yet}"),
            _SLOW_FRESH_S,
            _SLOW_PATIENCE_S,
        )
        self._places = Asking(
            lambda: held_places(self._lab),
            PlacesSeen(unknown=f"who holds boards in labgrid {not_yet}"),
            _SLOW_FRESH_S,
            _SLOW_PATIENCE_S,
        )
        self._edited = _edited(lab)
        self._had: set[Path] = set()

    def status(self) -> Status:
        """Return the farm as it was a few seconds ago; if its folders don't answer, as it was before, and say so.

        Raises:
            TimeoutError: they don't, and never did.
        """
        found = self._status.get()
        if found is None:
            raise TimeoutError(f"The folders of the farm didn't answer within {self._patience_s:g} s.")
        if self._status.late_s > self._patience_s:
            since = show_time(found.at, now())
            late = f"the folders of the farm don't answer; all of this is as it was at {since}"
            found = replace(found, unknown=(late, *found.unknown))
        return found

    def _look(self) -> Status:
        wrong = self._read_lab()
        unplugged, places = self._unplugged.get(), self._places.get()
        state = find_state(self._lab)
        gone = [folder for folder in (state, self._results) if self._is_gone(folder)]
        unknown = [wrong] if wrong else []
        unknown += [f"{folder} is gone or empty, and wasn't before" for folder in gone]
        unknown += [unplugged.unknown] if unplugged.unknown else []
        unknown += [
            f"{what} is as it was {asking.late_s / 60:.0f} min ago; it takes long to look"
            for what, asking in (("what is plugged in", self._unplugged), ("who holds boards in labgrid", self._places))
            if asking.late_s > _SLOW_FRESH_S
        ]
        why = "the state folder is gone, so that quarantines and reservations can't be told" if state in gone else ""
        return snapshot(self._lab, self._results, now(), unplugged.missing, places, unknown, why)

    def _is_gone(self, folder: Path) -> bool:
        """Whether a folder that had something in it has nothing now, as when a network folder is unmounted."""
        try:
            holds = next(folder.iterdir(), None) is not None
        except FileNotFoundError:
            holds = False
        except OSError:  # what is read there says so
            return False
        if holds:
            self._had.add(folder)
        return not holds and folder in self._had

    def board(self, name: str) -> tuple[BoardSeen, History] | None:
        """Return a board of devices.yaml and what is known of it; None if there is none of that name."""
        board = next((one for one in self.status().boards if one.name == name), None)
        if board is None:
            return None
        return board, board_history(self._lab, find_state(self._lab), self._results, board.name, now())

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
        path = self._lab.path or find_lab(None, [Path()])  # `hil devices --add` may have made it since
        edited = _edited(self._lab)
        if path is None or (edited == self._edited and self._lab.path is not None):
            return ""
        try:
            self._lab = Lab.load(path)
        except ConfigError as error:
            return f"{line(str(error))}; shown is what it said before"
        self._edited = _edited(self._lab) if edited is None else edited
        return ""


def _edited(lab: Lab) -> tuple[int, int] | None:
    """Return what changes when devices.yaml does; None if it isn't there."""
    try:
        about = None if lab.path is None else lab.path.stat()
    except OSError:
        return None
    return None if about is None else (about.st_mtime_ns, about.st_size)
