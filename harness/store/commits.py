"""Which writer's measurement of a case counts, where several write one run: the first that says that it is done.

A case can be measured twice: a worker is killed after its last sample, or stands still so long that another one takes
its case over. Whoever makes the file of the case first has measured it; the file is made whole, and never replaced.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.files.json_file import create_json, read_json
from harness.store.contents import whole_records
from harness.store.journal import journal_of, listed, write_error

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

#: In the folder of a run that several processes write.
DONE = "done"


def commit(run: Path, case: int, writer: str) -> str:
    """Say that a writer has measured a case, and return whose measurement counts: its own, or an earlier one's.

    Raises:
        StoreError: that can't be written.
    """
    path = run / DONE / f"{case}.json"
    try:
        if create_json(path, {"writer": writer}):
            return writer
    except OSError as error:
        raise write_error(path, error, run) from error
    return committed(run).get(case, writer)


def committed(run: Path) -> dict[int, str]:
    """Return the cases of a run that are done, and whose measurement of each counts."""
    found = {}
    for path in listed(run / DONE):
        content = read_json(path) if path.suffix == ".json" and path.stem.isdecimal() else None
        if content is not None:
            found[int(path.stem)] = str(content["writer"])
    return found


def finished_row(run: Path, case: int) -> Mapping[str, Any] | None:
    """Return the row of a case that is done, as it stands in the journal; None if it isn't done."""
    writer = committed(run).get(case)
    if writer is None:
        return None
    records = whole_records(journal_of(run, writer), ("finish",))
    rows = [record["columns"] for record in records if record["case"] == case]
    return rows[-1] if rows else None  # a case that was begun anew has several
