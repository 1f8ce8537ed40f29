"""The columns of the tables at the end of a run."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from harness.report import numbers
from harness.report.estimates import off_by, said_of_ratio, shown_ms, time_of
from harness.store.place import place_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from harness.report.metrics import Metric

Row = dict[str, Any]

NONE = "-"

#: Said of simulated energies.
SIMULATED_ENERGY = (
    "Simulated: no current was measured. The energy is a typical current from the data sheet times one cycle for each "
    "instruction; it shows that the measurement works, and says nothing about a real board."
)
#: Said where several units of a real board measured.
SEVERAL_UNITS = (
    "Measured on {count} units of the board: differences between units (clock source, supply, chip corner) are in the "
    "ratios of ticks, latency and energy. `hil compare` says which differences are real."
)
#: Reasons for a missing energy that go without saying.
UNASKED = (None, "", "no power monitor", "not asked for (--power off)")


@dataclass(frozen=True)
class Column:
    """A column: its title, the column of the case table that its cells show, and how; None where there is nothing."""

    title: str
    name: str
    show: Callable[[Row, str], str | None]
    left: bool = False

    def text(self, row: Row) -> str:
        """Return the cell of a row."""
        return self.show(row, self.name) or NONE


def _text(row: Row, name: str) -> str | None:
    return row.get(name)


def count_of(row: Row, name: str) -> str | None:
    """Show a whole number with commas."""
    return None if row.get(name) is None else numbers.count(row[name])


def decimal_of(row: Row, name: str) -> str | None:
    """Show four digits: no monitor knows more."""
    value = row.get(name)
    if value is None:
        return None
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _lost(row: Row, name: str) -> str | None:
    lost, samples = row.get(name), row.get("power_samples")
    if lost is None or not samples:
        return None
    return f"{100 * lost / samples:.2g} %" if lost else "0"


def _share(row: Row, name: str) -> str | None:
    return None if row.get(name) is None else numbers.percent(row[name], row["samples"])


def _interval(row: Row, name: str, unit: str = "share") -> str | None:
    low, high = row.get(f"{name}_low"), row.get(f"{name}_high")
    return None if low is None or high is None else numbers.scores(low, high, unit, row["samples"])


def scores(score: Metric | None) -> tuple[Column, ...]:
    """Return the columns of what cases are judged by; where nothing is scored, of their number of inputs."""
    samples = Column("samples", "samples", count_of)
    if score is None:
        return (samples,)

    def value(row: Row, name: str) -> str:
        return str(row["status"]) if row.get(name) is None else numbers.score(row[name], score.unit, row["samples"])

    interval = Column("95 % interval", score.column, partial(_interval, unit=score.unit))
    return samples, Column(score.called or score.name, score.column, value), interval


_SAME = ("suite", "board", "backend", "counter", "clock_hz", "engine", "samples")


def ratio(rows: Sequence[Row]) -> Column:
    """Return a column of median / the baseline's median; only between cases that have all in common but the variant."""
    baselines = {row["baseline"] for row in rows if row["baseline"]}

    def show(row: Row, name: str) -> str | None:
        for other in rows:
            alike = place_of(other) == place_of(row) and (row.get("pool") or other["board_uid"] == row["board_uid"])
            if other["variant"] == row["baseline"] and alike and all(other[key] == row[key] for key in _SAME):
                return f"{row[name] / other[name]:.3f}x" if row[name] and other[name] else None
        return None

    return Column(f"vs {baselines.pop()}" if len(baselines) == 1 else "vs baseline", "ticks_median", show)


def beside_baseline(rows: Sequence[Row]) -> Column:
    """Return a column of what the estimate says beside the baseline's."""
    by_variant = {(row["variant"], row["device"]): row for row in rows}

    def show(row: Row, _name: str) -> str | None:
        other = by_variant.get((row["baseline"], row["device"]))
        return None if other is None or other is row else said_of_ratio(other, row)

    return Column("beside the baseline", "estimated_cycles_median", show)


def _per_instruction(row: Row, name: str) -> str | None:
    if row.get(name) is None or not row.get("ticks_median"):
        return None
    return f"{row[name] / row['ticks_median']:.2f}"


def _against_measured(row: Row, _name: str) -> str | None:
    off = off_by(row)
    return None if off is None else f"{100 * off:+.1f} %"


def _time(row: Row, name: str) -> str | None:
    time = time_of(row)
    if time is None:
        return None
    return time.range if name == "estimated_cycles_error" else shown_ms(time.ms)


def _clock(row: Row, name: str) -> str | None:
    return f"{row[name] / 1e6:g} MHz" if row.get(name) else None


VARIANT = Column("variant", "variant", _text, left=True)
DEVICE = Column("device", "device", _text, left=True)
TECHNIQUE = Column("technique", "technique", _text, left=True)
TICKS = tuple(Column(name, f"ticks_{name}", count_of) for name in ("median", "p95", "min", "max"))
AGREEMENT = (
    Column("equal predictions", "agreement", _share),
    Column("95 % interval", "agreement", _interval),
    Column("greatest difference", "reference_difference_max", decimal_of),
)
ESTIMATE = tuple(Column(name, f"estimated_cycles_{name}", count_of) for name in ("median", "min", "max"))
PER_INSTRUCTION = Column("per instruction", "estimated_cycles_median", _per_instruction)
AGAINST_MEASURED = Column("against measured", "estimated_cycles_median", _against_measured)
ESTIMATED_TIME = (
    Column("median", "estimated_cycles_median", _time),
    Column("at", "clock_hz", _clock, left=True),
    Column("range", "estimated_cycles_error", _time, left=True),
)
LATENCY = tuple(Column(name, f"latency_us_{name}", count_of) for name in ("median", "p95", "min", "max"))
ENERGY = (
    Column("median", "energy_uj", decimal_of),
    Column("min", "energy_uj_min", decimal_of),
    Column("max", "energy_uj_max", decimal_of),
    Column("less idle", "energy_net_uj", decimal_of),
    Column("per joule", "inferences_per_joule", decimal_of),
    Column("mean uA", "current_ua_mean", decimal_of),
    Column("idle uA", "idle_current_ua", decimal_of),
    Column("lost", "power_lost_samples", _lost),
)
MEMORY = (
    Column("flash", "flash_bytes", count_of),
    Column("compressed", "flash_compressed_bytes", count_of),
    Column("peak RAM", "ram_peak_bytes", count_of),
    Column("= static", "ram_static_bytes", count_of),
    Column("+ arena", "ram_arena_bytes", count_of),
    Column("+ stack", "ram_stack_bytes", count_of),
    Column("+ heap", "ram_heap_bytes", count_of),
)
