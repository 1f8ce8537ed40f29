"""The results in groups whose rows can be compared: one suite on one setup, as its newest run left it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.report.setup import SETUP, known, records, setup_of
from harness.store.folders import injected_faults
from harness.store.place import boards_of, spelled
from harness.store.results import plain_rows
from harness.store.runs import read_run_file
from harness.text.escape import printable

if TYPE_CHECKING:
    import pandas as pd

    from harness.store import Results

#: What tells groups apart when a case failed before the board could say the rest.
_PLACE = ("suite", "place", "board", "backend")


@dataclass(frozen=True)
class RunOrigin:
    """What is known of a run.

    Attributes:
        name: folder name of the run.
        about: the content of its run.json.
    """

    name: str
    about: dict[str, Any]

    def board(self, kind: str) -> dict[str, Any]:
        """Return the description of a kind of board as it was when the run was made; empty if it isn't known."""
        lab = _dict(_dict(self.about.get("config")).get("lab"))
        devices = _list(_dict(self.about.get("config")).get("devices"))
        kinds = [*_list(lab.get("kinds")), *(_dict(device).get("kind") for device in devices)]
        return next((found for found in map(_dict, kinds) if found.get("name") == kind), {})

    def suite_title(self, task: str) -> str | None:
        """Return the title of a suite, if it has one."""
        suites = _list(_dict(self.about.get("config")).get("suites"))
        title = next((found.get("title") for found in map(_dict, suites) if found.get("task") == task), None)
        return str(title) if title else None


@dataclass(frozen=True)
class Group:
    """One suite on one setup.

    Attributes:
        setup: the values of `SETUP` that its rows have in common; None where no case got so far.
        run: the newest run in which it was measured; one with injected faults only if there is no other.
        cases: that run's rows, with those of cases that failed or were skipped.
        past: rows of all runs but those with injected faults, oldest first; that run's are included.
        faulty: names of the runs that were left out because of injected faults.
    """

    setup: dict[str, Any]
    run: RunOrigin
    cases: pd.DataFrame
    past: pd.DataFrame
    faulty: tuple[str, ...] = ()

    @property
    def emulated(self) -> bool:
        """Whether no board was used."""
        return bool(self.setup["backend"] != "hardware")

    @property
    def counter(self) -> str:
        """What a tick is."""
        return str(self.setup["counter"] or "ticks")

    @property
    def complete(self) -> pd.DataFrame:
        """The newest run's complete cases."""
        return self.cases[self.cases["status"] == "complete"]

    @property
    def place(self) -> str:
        """The device, or the pool with the boards that measured the newest run's cases."""
        return spelled(str(self.setup["place"]), boards_of(plain_rows(self.cases)))

    @property
    def several(self) -> bool:
        """Whether the newest run's cases were measured by several boards of a pool."""
        return len(self.cases["device"].unique()) > 1

    def limit(self, memory: str) -> int | None:
        """Return the size of the board's `ram` or `flash` in bytes, if the run recorded it."""
        size = _dict(self.run.board(str(self.setup["board"])).get(memory)).get("size")
        return size if isinstance(size, int) and size > 0 else None


def grouped(results: Results) -> list[Group]:
    """Return the groups, in the order in which their newest runs measured them, the newest run first."""
    cases = results.cases.sort_values(["started_utc", "case"], kind="stable").reset_index(drop=True)
    keys = _keys(cases)
    origins = {
        row["run"]: RunOrigin(row["run"], _shown(read_run_file(Path(row["path"])))) for row in records(results.runs)
    }
    groups = []
    for key in dict.fromkeys(keys):
        rows = cases[[other == key for other in keys]]
        faulty = rows["run"].isin([run for run in origins if injected_faults(origins[run].about) is not None])
        past = rows if faulty.all() else rows[~faulty]
        run = past["run"].iloc[-1]
        left_out = tuple(rows.loc[faulty, "run"].unique()) if not faulty.all() else ()
        setup = dict(zip(SETUP, key, strict=True))
        groups.append(Group(setup, origins[run], past[past["run"] == run], past, left_out))
    order = {run: at for at, run in enumerate(reversed(cases["run"].drop_duplicates().tolist()))}
    return sorted(groups, key=lambda group: (order[group.run.name], int(group.cases["case"].min())))


def _keys(cases: pd.DataFrame) -> list[tuple[Any, ...]]:
    """Return the setup of each row. One that ended too early to have all of it joins the first that fits."""
    found = [tuple(row[name] if known(row[name]) else None for name in SETUP) for row in records(setup_of(cases))]
    whole = sorted((key for key in dict.fromkeys(found) if None not in key), key=found.index)
    places = [SETUP.index(name) for name in _PLACE]

    def completed(key: tuple[Any, ...]) -> tuple[Any, ...]:
        if None not in key:
            return key
        same = [other for other in whole if all(other[at] == key[at] for at in places)]
        fits = [o for o in same if all(mine is None or mine == theirs for mine, theirs in zip(key, o, strict=True))]
        return fits[-1] if fits else key

    return [completed(key) for key in found]


def _shown(value: Any) -> Any:
    """Return what JSON holds with its strings made harmless."""
    if isinstance(value, dict):
        return {key: _shown(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_shown(item) for item in value]
    return printable(value) if isinstance(value, str) else value


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
