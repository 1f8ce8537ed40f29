"""The attempts of a run, also of one that is still going."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.errors import StoreError
from harness.store.contents import attempt_of, whole_records
from harness.store.journal import journals
from harness.store.tables import load_table

if TYPE_CHECKING:
    from pathlib import Path


def attempts_of(run: Path) -> list[dict[str, Any]]:
    """Return the attempts of a run in the order in which they ended, as columns of the attempts table.

    Of a run that is still going, or was killed, they are read from its journals; their column `attempt` is missing.

    Args:
        run: its folder. A run of before there was the table has none.

    Raises:
        StoreError: a table or journal can't be read.
    """
    path = run / "attempts.parquet"
    try:
        rows = [row for journal in journals(run) for row in _from_journal(run.name, journal)]
    except StoreError:
        if not path.is_file():  # else the run was closed just now
            raise
    if path.is_file():
        rows = load_table(path, "attempts").to_pylist()
    return sorted(rows, key=lambda row: row["ended"])


def _from_journal(run: str, journal: Path) -> list[dict[str, Any]]:
    keys: dict[int, dict[str, Any]] = {}
    found = []
    for record in whole_records(journal, ("begin", "attempts")):
        number = record["case"]
        if record["t"] == "begin":
            keys[number] = {name: record["columns"].get(name) for name in ("board", "backend", "suite", "variant")}
        else:
            known = {"run": run, "case": number, **keys.get(number, {})}
            found += [{**known, **attempt_of(values)} for values in record["v"]]
    return found
