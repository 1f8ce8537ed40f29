"""The page's tables: variants, verdicts against the baseline, images and runs. Cells are text; nothing is computed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from harness.report import numbers
from harness.report.metrics import METRICS, energy_name
from harness.report.setup import known, records

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import pandas as pd

    from harness.report.frame import Row
    from harness.report.groups import Group

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


def variants(group: Group, images: Images) -> Table:
    """Return the table of a group's variants, a column only where there is a figure for it."""
    rows = records(group.cases)
    latency = any(known(row["latency_us_median"]) for row in rows)
    ticks = group.counter
    columns: list[tuple[str, Callable[[dict[str, Any]], Cell]]] = [
        ("accuracy", _share("accuracy")),
        ("95 % interval", _interval("accuracy")),
        ("agrees with reference", _share("agreement")),
        ("its 95 % interval", _interval("agreement")),
        ("greatest difference", _decimal("reference_difference_max")),
        (f"{ticks} (median)", _figure("ticks_median")),
    ]
    if not latency:
        columns.append((f"{ticks} (p95)", _figure("ticks_p95")))
    else:
        columns += [
            ("latency (median), µs", _figure("latency_us_median", 1)),
            ("latency (p95), µs", _figure("latency_us_p95", 1)),
        ]
    if any(known(row["energy_uj"]) for row in rows):
        name = energy_name(row["power_source"] for row in rows if known(row["energy_uj"]))
        columns.append((f"{name}, µJ", _figure("energy_uj", 1)))
    columns += [
        ("peak RAM, bytes", _figure("ram_peak_bytes")),
        ("flash, bytes", _figure("flash_bytes")),
        ("flash compressed, bytes", _figure("flash_compressed_bytes")),
    ]
    filled = [(title, cell) for title, cell in columns if any(cell(row).text != NONE for row in rows)]
    on = (("device", False),) if group.several else ()
    head = (("variant", False), ("image", True), *on, *((title, True) for title, _ in filled))
    return Table(
        head,
        tuple((*_names(row, images), *(_device(row) for _ in on), *(cell(row) for _, cell in filled)) for row in rows),
    )


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
    if row.exact or row.family_low is None or row.family_high is None:
        return ""
    if row.scale == "ratio":
        return f", {numbers.span(100 * (row.family_low - 1), 100 * (row.family_high - 1))} %"
    return f", {numbers.span(100 * row.family_low, 100 * row.family_high)}" if row.unit == "share" else ""


def _change(row: Row) -> str:
    change = row.change or 0.0
    if row.scale == "ratio":
        return numbers.change(change)
    if row.unit == "share":
        return f"{numbers.signed(100 * change)} points"
    if not change:
        return "0"
    return f"{'+' if change > 0 else numbers.MINUS}{numbers.count(abs(change))}"


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
    names = (
        "variant",
        "suite",
        "image_sha256",
        "build_id",
        "board_uid",
        "probe_uid",
        "engine",
        "toolchain",
        "flash_bytes",
    )
    return [{name: row[name] if known(row[name]) else None for name in names} for row in images.rows]


def _names(row: dict[str, Any], images: Images) -> Iterable[Cell]:
    number = images.number(row)
    status = "" if row["status"] == "complete" else f" ({row['status']})"
    technique = str(row["technique"]) if known(row["technique"]) else ""
    yield Cell(str(row["variant"]) + status, kind="name", below=technique)
    yield Cell(NONE) if number is None else Cell(f"[{number}]", number, link=f"#image-{number}")


def _device(row: dict[str, Any]) -> Cell:
    more = [f"{what} {row[name]}" for what, name in (("chip", "board_uid"), ("host", "host")) if known(row[name])]
    return Cell(str(row["device"]), title=", ".join(more) or None)


def _share(name: str) -> Callable[[dict[str, Any]], Cell]:
    def cell(row: dict[str, Any]) -> Cell:
        if not known(row[name]):
            return Cell(NONE)
        return Cell(numbers.percent(float(row[name]), int(row["samples"])), float(row[name]))

    return cell


def _interval(name: str) -> Callable[[dict[str, Any]], Cell]:
    def cell(row: dict[str, Any]) -> Cell:
        if not known(row[f"{name}_low"]) or not known(row[f"{name}_high"]):
            return Cell(NONE)
        digits = numbers.decimals(int(row["samples"]))
        ends = float(row[f"{name}_low"]), float(row[f"{name}_high"])
        return Cell(f"{100 * ends[0]:.{digits}f} to {100 * ends[1]:.{digits}f} %", ends[0])

    return cell


def _decimal(name: str) -> Callable[[dict[str, Any]], Cell]:
    return lambda row: Cell(f"{float(row[name]):.3g}", float(row[name])) if known(row[name]) else Cell(NONE)


def _figure(name: str, digits: int = 0) -> Callable[[dict[str, Any]], Cell]:
    def cell(row: dict[str, Any]) -> Cell:
        if not known(row[name]):
            return Cell(NONE)
        value = float(row[name])
        return Cell(f"{value:,.{digits}f}" if digits else numbers.count(value), value)

    return cell
