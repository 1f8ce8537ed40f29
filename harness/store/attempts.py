"""The attempts of a run, also of one that is still going."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.errors import StoreError
from harness.store.journal import Damage, journals, read_journal
from harness.store.tables import attempt_of, whole

if TYPE_CHECKING:
    from pathlib import Path

#: The kinds of records in a journal that tell of attempts.
_KINDS = ("begin", "attempts")


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
        from harness.store.files import load_table  # noqa: PLC0415 (pandas takes a while to import)

        rows = load_table(path, "attempts").to_pylist()
    return sorted(rows, key=lambda row: row["ended"])


def _from_journal(run: str, journal: Path) -> list[dict[str, Any]]:
    keys: dict[int, dict[str, Any]] = {}
    found = []
    for record in read_journal(journal, _KINDS):
        if isinstance(record, Damage) or not whole(record):
            continue
        number = record["case"]
        if record["t"] == "begin":
            columns = record["columns"]
            keys[number] = {name: columns.get(name) for name in ("board", "backend", "suite", "variant")}
        else:
            known = {"run": run, "case": number, **keys.get(number, {})}
            found += [{**known, **attempt_of(values)} for values in record["v"]]
    return found
