"""The page's tables: variants, verdicts against the baseline, images and runs. Cells are text; nothing is computed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from harness.report import numbers
from harness.report.estimates import off_by, shown_ms, time_of
from harness.report.groups import known, records
from harness.report.metrics import METRICS, energy_name, leading

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd

    from harness.report.candidates import Candidate
    from harness.report.frame import Row
    from harness.report.groups import Group
    from harness.report.metrics import Metric
    from harness.report.pick import Pick

    #: Shows the figure of a case that has one.
    _Show = Callable[[dict[str, Any], str], str]

NONE: Final = "\N{EN DASH}"

_TITLES: Final = {"peak_ram": "peak RAM, bytes", "flash": "flash, bytes", "all": ""}

#: Symbols that say what the colour of a verdict says.
MARKS: Final = {"better": "▲", "worse": "▼", "same": "=", "can't tell": "?", "refused": "✕"}


@dataclass(frozen=True)
class Cell:
    """A cell.

    Attributes:
        text: what the cell shows.
        value: what it is sorted by; None: the text.
        kind: CSS class of the cell.
        link: where a click on it leads.
        title: what is said when the pointer rests on it.
        below: a second line, smaller.
    """

    text: str
    value: float | None = None
    kind: str = ""
    link: str | None = None
    title: str | None = None
    below: str = ""


@dataclass(frozen=True)
class Table:
    """A table of a page. Columns are heading and whether its cells are numbers."""

    columns: tuple[tuple[str, bool], ...]
    rows: tuple[tuple[Cell, ...], ...]


class Images:
    """Numbers the images in the order in which they are first named, so that figures can refer to them."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[str, str], int] = {}
        self.rows: list[dict[str, Any]] = []

    def number(self, row: dict[str, Any]) -> int | None:
        """Return the number of the image that a case ran; None if the case never got that far."""
        sha, build = (str(row[name]) if known(row[name]) else "" for name in ("image_sha256", "build_id"))
        if not sha and not build:
            return None
        if (sha, build) not in self._numbers:
            self._numbers[sha, build] = len(self._numbers) + 1
            self.rows.append(row)
        return self._numbers[sha, build]


def variants(group: Group, images: Images, *, estimated_time: bool = False) -> Table:
    """Return the table of a group's variants, a column only where there is a figure; `estimated_time` as asked for."""
    rows = records(group.cases)
    score = leading(row["metric"] for row in rows)
    columns: dict[str, tuple[_Show, str]] = {
        **({score.called or score.name: (partial(_score, score.unit), score.column)} if score else {}),
        **({"95 % interval": (partial(_interval, score.unit), score.column)} if score else {}),
        "agrees with reference": (_share, "agreement"),
        "its 95 % interval": (partial(_interval, "share"), "agreement"),
        "greatest difference": (_three_digits, "reference_difference_max"),
        **_costs(group, rows),
        f"{group.counter} (p95)": (_count, "ticks_p95"),
        "latency (p95), µs": (_one_decimal, "latency_us_p95"),
        "error of estimates": (_words, "estimated_cycles_error"),
        "flash compressed, bytes": (_count, "flash_compressed_bytes"),
    }
    cells = {
        title: [_cell(show, row, name, interval=title.endswith("95 % interval")) for row in rows]
        for title, (show, name) in columns.items()
    }
    cells[f"estimate against the {group.counter}"] = list(map(_off_by, rows))
    cells |= _times(rows) if estimated_time else {}
    filled = {title: column for title, column in cells.items() if any(one.text != NONE for one in column)}
    names = [_names(row, images) for row in rows]
    devices = [[_device(row) for row in rows]] if group.several else []
    head = (("variant", False), ("image", True), *(("device", False) for _ in devices))
    lines = zip(*zip(*names, strict=True), *devices, *filled.values(), strict=True)
    return Table((*head, *((title, True) for title in filled)), tuple(lines))


def choice(group: Group, picked: Pick, *, estimated_time: bool = False) -> Table:
    """Return the table that a pick is made from: each variant's score, against the best, and what it costs."""
    rows, found = records(group.cases), {one.variant: one for one in picked.candidates}
    score = group.score
    columns = {"device": [_device(row) for row in rows]} if group.several else {}
    columns["ship it?"] = [_standing(row, found.get(row["variant"]), picked) for row in rows]
    if score is not None:
        columns[score.called or score.name] = [_scored(row, score) for row in rows]
        columns["against the best"] = [_behind(found.get(row["variant"]), score) for row in rows]
    for title, (show, name) in _costs(group, rows).items():
        columns[title] = [_cell(show, row, name, interval=False) for row in rows]
    columns |= _times(rows) if estimated_time else {}
    kept = {title: cells for title, cells in columns.items() if any(cell.text != NONE for cell in cells)}
    names = [_name(row, "picked" if row["variant"] == picked.variant else "") for row in rows]
    head = (("variant", False), *((title, title not in ("device", "ship it?")) for title in kept))
    return Table(head, tuple(zip(names, *kept.values(), strict=True)))


def _costs(group: Group, rows: Sequence[dict[str, Any]]) -> dict[str, tuple[_Show, str]]:
    """Return the columns of what a variant costs; a column stays empty where nothing was measured."""
    energy = energy_name(row["power_source"] for row in rows if known(row["energy_uj"]))
    return {
        f"{group.counter} (median)": (_count, "ticks_median"),
        "latency (median), µs": (_one_decimal, "latency_us_median"),
        "ESTIMATED cycles (median), not measured": (_count, "estimated_cycles_median"),
        f"{energy}, µJ": (_one_decimal, "energy_uj"),
        "peak RAM, bytes": (_count, "ram_peak_bytes"),
        "flash, bytes": (_count, "flash_bytes"),
    }


def _off_by(row: dict[str, Any]) -> Cell:
    off = off_by({name: value if known(value) else None for name, value in row.items()})
    return Cell(NONE) if off is None else Cell(f"{numbers.signed(100 * off)} %", off)


def _times(rows: Sequence[dict[str, Any]]) -> dict[str, list[Cell]]:
    """Return a column of estimated times with their ranges."""
    cells = []
    for row in rows:
        time = time_of({name: value if known(value) else None for name, value in row.items()})
        cells.append(Cell(NONE) if time is None else Cell(shown_ms(time.ms), time.ms, below=f"range {time.range}"))
    return {"ESTIMATED ms (median), no latency": cells}


def _standing(row: dict[str, Any], one: Candidate | None, picked: Pick) -> Cell:
    """Say whether a variant may be shipped, and if that isn't known, how many more inputs would tell."""
    if one is None:
        return Cell(NONE if row["status"] == "complete" else str(row["status"]))
    if one.variant == picked.variant:
        return Cell("★ ship it", kind="verdict better")
    word = {
        "within": "✓ could be",
        "open": "? can't tell yet",
        "worse": "▼ too much worse",
        "beyond": "✕ over the budget",
        "unmeasured": "✕ not measured",
        "chance": "✕ may be chance",
    }[one.status]
    below = f"about {one.more_inputs:,} more inputs would" if one.more_inputs else one.reason
    if one.status in ("beyond", "worse"):
        below = ", ".join(bound.text for bound, _ in one.misses)
    return Cell(word, kind="verdict same", below=below)


def _scored(row: dict[str, Any], score: Metric) -> Cell:
    cell = _cell(partial(_score, score.unit), row, score.column, interval=False)
    around = known(row[f"{score.column}_low"]) and known(row[f"{score.column}_high"])
    return replace(cell, below=_interval(score.unit, row, score.column)) if around else cell


def _behind(one: Candidate | None, score: Metric) -> Cell:
    if one is None or one.change is None:
        return Cell(NONE)
    if one.low is None or one.high is None or one.low == one.high:
        return (
            Cell("equal")
            if one.low is not None and not one.change
            else Cell(_difference(score, one.change), one.change)
        )
    around = numbers.plain_span(score.scale, score.unit, one.low, one.high).removesuffix(" points")
    return Cell(_difference(score, one.change), one.change, below=around.replace("-", numbers.MINUS))


def _difference(score: Metric, change: float) -> str:
    return numbers.with_unit(score.scale, score.unit, change).replace("-", numbers.MINUS)


def verdicts(rows: Sequence[Row], counter: str) -> Table | None:
    """Return a table of verdicts, a row for each pair and a column for each metric; None if nothing was compared."""
    metrics = [name for name in METRICS if any(row.metric == name for row in rows)]
    if not metrics:
        return None
    pairs = dict.fromkeys((row.a, row.b) for row in rows)
    called = {row.metric: row.name for row in rows}
    titles = [counter if name == "ticks" else _TITLES.get(name, called[name].replace("_", " ")) for name in metrics]
    lines = []
    for a, b in pairs:
        mine = {row.metric: row for row in rows if (row.a, row.b) == (a, b)}
        if "all" in mine:
            cells = [verdict(mine["all"])] + [Cell(NONE)] * (len(metrics) - 1)
        else:
            cells = [verdict(mine[name]) if name in mine else Cell(NONE) for name in metrics]
        against = f"against {a.variant}" if a.run == b.run else f"against {a.run}"
        lines.append((Cell(b.variant, kind="name", below=against), *cells))
    return Table((("variant", False), *((title, True) for title in titles)), tuple(lines))


def verdict(row: Row) -> Cell:
    """Return a verdict as a cell: the change, and the verdict below; the reason in full is its title."""
    title = "; ".join([row.reason, *row.notes])
    kind = f"verdict {row.verdict.replace(' ', '-').replace(chr(39), '')}"
    word = f"{MARKS[row.verdict]} {row.verdict}{_interval_of(row)}"
    return Cell(NONE if row.change is None else _change(row), row.change, kind, title=title, below=word)


def _interval_of(row: Row) -> str:
    """Return the interval that holds for all rows together, where there is one."""
    if row.family is None:
        return ""
    low, high = row.family
    if row.scale == "ratio":
        return f", {numbers.span(100 * (low - 1), 100 * (high - 1))} %"
    if row.unit == "share":
        return f", {numbers.span(100 * low, 100 * high)}"
    return f", {low:+.3g} to {high:+.3g}" if row.metric == "score" else ""


def _change(row: Row) -> str:
    change = row.change or 0.0
    if row.scale == "ratio":
        return numbers.change(change)
    if row.unit == "share":
        return f"{numbers.signed(100 * change)} points"
    if not change:
        return "0"
    size = numbers.figure(abs(change)) if row.metric == "score" else numbers.count(abs(change))
    return f"{'+' if change > 0 else numbers.MINUS}{size}"


def run_table(runs: pd.DataFrame) -> Table:
    """Return the table of all runs that a report draws on, oldest first."""
    head = (("run", False), ("started, UTC", False), ("revision", False), ("state", False))
    rows = []
    for row in records(runs.sort_values("started_utc")):
        started = f"{row['started_utc']:%Y-%m-%d %H:%M:%S}" if known(row["started_utc"]) else NONE
        revision = str(row["git_revision"])[:12] if known(row["git_revision"]) else NONE
        rows.append((Cell(str(row["run"])), Cell(started), Cell(revision), Cell(str(row["state"]))))
    return Table(head, tuple(rows))


def image_table(images: Images) -> list[dict[str, Any]]:
    """Return what is known of each image, for the list that figures refer to."""
    names = ("variant", "suite", "image_sha256", "build_id", "board_uid", "probe_uid", "toolchain")
    return [{name: row[name] if known(row[name]) else None for name in names} for row in images.rows]


def _names(row: dict[str, Any], images: Images) -> tuple[Cell, Cell]:
    number = images.number(row)
    return _name(row), Cell(NONE) if number is None else Cell(f"[{number}]", number, link=f"#image-{number}")


def _name(row: dict[str, Any], kind: str = "") -> Cell:
    status = "" if row["status"] == "complete" else f" ({row['status']})"
    technique = str(row["technique"]) if known(row["technique"]) else ""
    return Cell(str(row["variant"]) + status, kind=f"name {kind}".strip(), below=technique)


def _device(row: dict[str, Any]) -> Cell:
    more = [f"{what} {row[name]}" for what, name in (("chip", "board_uid"), ("host", "host")) if known(row[name])]
    return Cell(str(row["device"]), title=", ".join(more) or None)


def _cell(show: _Show, row: dict[str, Any], name: str, *, interval: bool = False) -> Cell:
    value = row[f"{name}_low" if interval else name]
    if not known(value):
        return Cell(NONE)
    return Cell(show(row, name), None if isinstance(value, str) else float(value))


def _share(row: dict[str, Any], name: str) -> str:
    return numbers.percent(float(row[name]), int(row["samples"]))


def _score(unit: str, row: dict[str, Any], name: str) -> str:
    return numbers.score(float(row[name]), unit, int(row["samples"]))


def _interval(unit: str, row: dict[str, Any], name: str) -> str:
    return numbers.scores(float(row[f"{name}_low"]), float(row[f"{name}_high"]), unit, int(row["samples"]))


def _three_digits(row: dict[str, Any], name: str) -> str:
    return f"{float(row[name]):.3g}"


def _one_decimal(row: dict[str, Any], name: str) -> str:
    return f"{float(row[name]):,.1f}"


def _count(row: dict[str, Any], name: str) -> str:
    return numbers.count(float(row[name]))


def _words(row: dict[str, Any], name: str) -> str:
    return str(row[name])
