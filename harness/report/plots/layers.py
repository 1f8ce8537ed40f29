"""Where the ticks of an inference go, layer by layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.report import numbers
from harness.report.plots.bars import Bar, draw_bars
from harness.report.plots.canvas import SERIES
from harness.report.setup import known, records, require_one_setup

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

#: Operators that have a colour of their own; the others share the last one.
_COLORED = 5


def layer_profile(layers: pd.DataFrame, counter: str = "ticks") -> Figure:
    """Draw what each layer takes of an inference.

    With one variant there is a bar for each layer, in the order of execution; with several there is a bar for each
    variant, its layers one behind the other. The colour says which operator it is.

    Args:
        layers: rows of the layer table from one suite and one setup.
        counter: what a tick is: cycles or instructions.

    Raises:
        ValueError: rows that can't be compared, or nothing to draw.
    """
    rows = layers.dropna(subset=["ticks"]).sort_values(["case", "layer"])
    require_one_setup(rows, "layer_profile")
    if rows.empty:
        raise ValueError("layer_profile: no layer has ticks")
    rows = rows.assign(kind=[_words(operator) for operator in rows["operator"]])
    colors = _colors(rows)
    variants = rows["variant"].drop_duplicates().tolist()
    bars = _layers(rows, colors) if len(variants) == 1 else _variants(rows, variants, colors, counter)
    entries = {colors[kind]: kind for kind in rows["kind"].unique() if colors[kind] != SERIES[-1]}
    if SERIES[-1] in colors.values():
        entries[SERIES[-1]] = "others"
    return draw_bars(bars, [(name, color) for color, name in entries.items()])


def _words(operator: object) -> str:
    """Return DEPTHWISE_CONV_2D as depthwise conv 2d."""
    return str(operator).replace("_", " ").lower() if known(operator) else "unknown"


def _colors(rows: pd.DataFrame) -> dict[str, str]:
    """Give the operators that take most the colours."""
    totals = rows.groupby("kind")["ticks"].sum().sort_values(ascending=False, kind="stable")
    return {str(kind): SERIES[min(rank, _COLORED)] for rank, kind in enumerate(totals.index)}


def _layers(rows: pd.DataFrame, colors: dict[str, str]) -> list[Bar]:
    total = float(rows["ticks"].sum())
    bars = []
    for row in records(rows):
        shape = f" {row['output_shape']}" if known(row.get("output_shape")) else ""
        ticks = float(row["ticks"])
        value = f"{numbers.count(ticks)}, {100 * ticks / total if total else 0:.1f} %"
        bars.append(Bar(f"{row['layer']} {row['kind']}{shape}", value, ((ticks, colors[row["kind"]]),)))
    return bars


def _variants(rows: pd.DataFrame, variants: list[str], colors: dict[str, str], counter: str) -> list[Bar]:
    bars = []
    for name in variants:
        mine = rows[rows["variant"] == name]
        parts = tuple((float(ticks), colors[kind]) for ticks, kind in zip(mine["ticks"], mine["kind"], strict=True))
        total = sum(ticks for ticks, _ in parts)
        bars.append(Bar(str(name), f"{numbers.count(total)} {counter} in {len(parts)} layers", parts))
    return bars
