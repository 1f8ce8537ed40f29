"""What the gate says of the cases of a finished run, added to their rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from harness.schema import CASES
from harness.store.journal import write_error
from harness.store.runs import CASES_FILE
from harness.store.tables import arrow_schema, batches_of, load_table, write_table

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

#: Verdicts, the one that outweighs the others last.
ORDER: Final = (None, "passed", "unchecked", "failed")


def add_verdicts(run: Path, verdicts: Mapping[int, tuple[str, str | None]]) -> None:
    """Add verdicts to the case table of a finished run; the worse one of each case stands, with the reasons of both.

    Args:
        run: the run's folder.
        verdicts: passed, unchecked or failed, and why, by the number of the case.

    Raises:
        StoreError: the table can't be read or written; it stays as it was.
    """
    rows = [_judged(row, verdicts.get(row["case"])) for row in load_table(run / CASES_FILE, "cases").to_pylist()]
    try:
        write_table(run, "cases", batches_of(rows, arrow_schema(CASES)), len(rows))
    except OSError as error:
        raise write_error(run / CASES_FILE, error) from error


def _judged(row: dict[str, Any], verdict: tuple[str, str | None] | None) -> dict[str, Any]:
    if verdict is None or row["status"] != "complete":
        return row
    reasons = [reason for reason in (row["verdict_reason"], verdict[1]) if reason]
    worse = max(row["verdict"], verdict[0], key=ORDER.index)
    return {**row, "verdict": worse, "verdict_reason": "; ".join(reasons) or None}
