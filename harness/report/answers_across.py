"""Whether a variant answers on one board what it answers on others, to the bit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.report.reasons import joined

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from harness.store.results import Results

    CaseRow = dict[str, Any]

_COLUMNS = ("case", "sample", "step", "repeat", "prediction", "output_crc")


def outputs_sentence(results: Results, names: Sequence[str], cases: Sequence[Mapping[str, CaseRow]]) -> str:
    """Say for which variants the outputs of all boards are equal to the bit, and where others are not.

    Args:
        results: that the cases are of.
        names: of the places.
        cases: of each place, its rows of the case table by variant.

    Returns:
        The sentence; "" if no variant ran on the same inputs on several boards, or their samples were pruned.
    """
    read: dict[str, pd.DataFrame] = {}
    held, inputs = 0, 0
    odd: list[str] = []
    for variant in dict.fromkeys(name for rows in cases for name in rows):
        same: dict[Any, list[tuple[str, CaseRow]]] = {}
        for name, rows in zip(names, cases, strict=True):
            row = rows.get(variant)
            if row is not None and row["status"] == "complete":
                same.setdefault((row["inputs_sha256"], row["samples"]), []).append((name, row))
        alike = max(same.values(), key=len, default=[])
        tables = [(name, table) for name, row in alike if len(table := _answers(results, row, read))]
        if len(tables) > 1:
            held, inputs = held + 1, max(inputs, int(alike[0][1]["samples"]))
            odd += [sentence for sentence in (_odd(variant, tables),) if sentence]
    if not held:
        return ""
    if not odd:
        which = "The variant" if held == 1 else f"Each of the {held} variants"
        return f"{which} gave outputs that are equal to the bit on all boards that it ran on ({inputs:,} inputs)."
    equal = f"Outputs are equal to the bit on all boards for {held - len(odd)} of {held} variants."
    return " ".join([equal, *odd])


def _answers(results: Results, row: CaseRow, read: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Return prediction and output of the first inference on each input, by input and step."""
    run = row["run"]
    if run not in read:
        read[run] = results.of_run(run).table("samples", _COLUMNS)
    rows = read[run]
    mine: pd.DataFrame = rows[(rows["case"] == row["case"]) & (rows["repeat"] == 0)]
    columns = ["sample", "step", "prediction", "output_crc"]
    return mine[columns].assign(step=mine["step"].fillna(-1)).set_index(columns[:2]).sort_index()


def _odd(variant: str, tables: Sequence[tuple[str, pd.DataFrame]]) -> str:
    """Return a sentence on the boards whose outputs are not those of most; "" if there is none."""
    marks = [table["output_crc"].to_csv() for _, table in tables]
    usual = tables[marks.index(max(marks, key=marks.count))][1]
    boards, others, known = [], 0, False
    for name, table in tables:
        differ = int((table["output_crc"] != usual["output_crc"].reindex(table.index)).fillna(value=True).sum())
        if differ:
            boards.append(f"{name} ({differ:,} of {len(table):,} inferences)")
            other = table["prediction"] != usual["prediction"].reindex(table.index)
            others, known = others + int(other.fillna(value=False).sum()), known or bool(other.notna().any())
    if not boards:
        return ""
    answers = f", and {others:,} other predictions" if others else ", with the same predictions" if known else ""
    return f"{variant} gave other outputs on {joined(boards, None)}{answers}."
