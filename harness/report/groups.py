"""Which rows may stand beside each other: one suite on one setup, measured on one board or in one pool."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from harness.report.metrics import leading
from harness.store.folders import injected_faults
from harness.store.place import boards_of, spelled
from harness.store.results import plain_rows
from harness.store.runs import read_run_file
from harness.text.escape import printable

if TYPE_CHECKING:
    from harness.report.metrics import Metric
    from harness.store import Results

#: Rows that differ in one of these are never in one chart or ranking.
SETUP: Final = ("suite", "place", "board", "board_uid", "backend", "counter", "clock_hz", "engine")

#: Stands for the chip's id in the setup of a pool's rows: any board of the pool may have measured them.
ANY_UNIT: Final = "any of the pool"

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

    def suite(self, task: str) -> dict[str, Any]:
        """Return what the run recorded of a suite's file; empty if it isn't known."""
        suites = map(_dict, _list(_dict(self.about.get("config")).get("suites")))
        return next((found for found in suites if found.get("task") == task), {})


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
    def score(self) -> Metric | None:
        """What the newest run's cases are judged by: accuracy, or the score of their metric; None: nothing."""
        return leading(self.cases["metric"])

    @property
    def place(self) -> str:
        """The device, or the pool with the boards that measured the newest run's cases."""
        return spelled(str(self.setup["place"]), boards_of(plain_rows(self.cases)))

    @property
    def several(self) -> bool:
        """Whether the newest run's cases were measured by several boards of a pool."""
        return len(self.cases["device"].unique()) > 1

    def limit(self, memory: str) -> int | None:
        """Return the size of the board's `ram`, all its memories together, or `flash` in bytes, if it was recorded."""
        board = self.run.board(str(self.setup["board"]))
        sizes = [_dict(region).get("size") for region in (board.get(memory), *_list(board.get(f"more_{memory}")))]
        whole = [size for size in sizes if isinstance(size, int) and size > 0]
        return sum(whole) if len(whole) == len(sizes) else None


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


def placed(rows: pd.DataFrame) -> pd.DataFrame:
    """Return rows with the column `place`: their pool, or their device where there is none (`harness.store.place`)."""
    if "place" in rows.columns or "device" not in rows.columns:
        return rows
    device = rows["device"].astype("string")
    if "pool" not in rows.columns:
        return rows.assign(place=device)
    pool = rows["pool"].astype("string")
    return rows.assign(place=pool.where(pool.notna(), device))


def setup_of(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the columns of `SETUP` that a table of results has; rows of one pool differ in no chip."""
    found = placed(rows)
    if "pool" in found.columns and "board_uid" in found.columns:
        uid = found["board_uid"].astype("string")
        found = found.assign(board_uid=uid.where(found["pool"].isna(), ANY_UNIT))
    return found[[name for name in SETUP if name in found.columns]]


def drawable(rows: pd.DataFrame, what: str, nothing: str, metric: str = "") -> pd.DataFrame:
    """Return rows that can be in one plot.

    `what` names the plot in the error, `nothing` is said if there are no rows, `metric` is the column that is drawn.

    Raises:
        ValueError: there is none, or rows are of different boards, backends, counters, clocks or sources of energy; it
            says in which column they differ.
    """
    setup = setup_of(rows)
    for column in setup.columns:
        found = setup[column].dropna().unique()
        if len(found) > 1:
            values = ", ".join(map(str, found))
            name = "device" if column == "place" else column
            raise ValueError(f"{what}: the rows differ in {name} ({values}) and can't be compared: select one of them")
    if rows.empty:
        raise ValueError(f"{what}: {nothing}")
    if metric.startswith("energy") and len(rows["power_source"].unique()) > 1:
        raise ValueError(f"{what}: energy from different power sources can't be compared: select one")
    return rows


def complete(cases: pd.DataFrame, *needed: str) -> pd.DataFrame:
    """Return the complete cases that have every needed figure, in the order in which they ran."""
    rows = cases[cases["status"] == "complete"]
    return rows.dropna(subset=list(needed)) if needed else rows


def same_inputs(cases: pd.DataFrame) -> pd.DataFrame:
    """Return the cases of several runs that ran on as many and the same inputs as the newest of their variant."""
    names = [name for name in ("samples", "inputs_sha256") if name in cases.columns]
    ordered = placed(cases).sort_values(["started_utc", "case"], kind="stable")
    newest = ordered.drop_duplicates(["suite", "place", "backend", "variant"], keep="last")
    keys = ["suite", "place", "backend", "variant", *names]
    wanted = set(newest[keys].astype("string").fillna("").itertuples(index=False, name=None))
    rows = ordered[keys].astype("string").fillna("").itertuples(index=False, name=None)
    return ordered[np.array([row in wanted for row in rows], dtype=bool)]


def known(value: Any) -> bool:
    """Whether a cell holds a figure: it is neither None nor NA nor NaN."""
    return bool(pd.notna(value))


def records(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Return rows as dicts by column name."""
    return [{str(name): value for name, value in row.items()} for row in rows.to_dict("records")]
