"""What can be compared: the column it is in, its unit, which way is better, and the least difference that matters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from harness.schema import SIMULATED

if TYPE_CHECKING:
    from collections.abc import Iterable

Scale = Literal["ratio", "difference"]


@dataclass(frozen=True)
class Metric:
    """A figure of a case that can be compared.

    Attributes:
        name: how `hil compare` and `--fail-on` call it.
        column: the column of the case table that it is in.
        unit: unit of its values; "ticks" is what the case's counter counts.
        scale: whether two values are compared by their ratio or by their difference.
        more_is_better: True for accuracy.
        margin: default least difference of interest: a share; of the baseline's value, for accuracy of 1.
        least: what it is at least, in bytes, however small the baseline is.
    """

    name: str
    column: str
    unit: str
    scale: Scale
    more_is_better: bool
    margin: float
    least: float = 0.0

    def least_difference(self, baseline: float | None) -> float:
        """Return the default least difference of interest from a baseline: a share for a ratio, else in `unit`.

        Args:
            baseline: the value of the baseline; None if it isn't known.
        """
        return max(self.least, self.margin * abs(baseline or 0.0)) if self.unit == "bytes" else self.margin


def _size(name: str, column: str) -> Metric:
    """Return a size in bytes. Less than 64 of them are alignment or a longer text: no model is chosen for it."""
    return Metric(name, column, "bytes", "difference", more_is_better=False, margin=0.01, least=64)


#: Everything that can be compared, and the one place where least differences of interest stand.
METRICS: Final = {
    metric.name: metric
    for metric in (
        Metric("accuracy", "accuracy", "share", "difference", more_is_better=True, margin=0.005),
        Metric("ticks", "ticks_median", "ticks", "ratio", more_is_better=False, margin=0.01),
        Metric("latency", "latency_us_median", "us", "ratio", more_is_better=False, margin=0.01),
        Metric("energy", "energy_uj", "uJ", "ratio", more_is_better=False, margin=0.01),
        _size("peak_ram", "ram_peak_bytes"),
        _size("ram_static", "ram_static_bytes"),
        _size("ram_arena", "ram_arena_bytes"),
        _size("ram_stack", "ram_stack_bytes"),
        _size("ram_heap", "ram_heap_bytes"),
        _size("flash", "flash_bytes"),
        _size("flash_compressed", "flash_compressed_bytes"),
    )
}

#: What is compared unless more is asked for. Latency stands for ticks where the counter counts cycles.
USUAL: Final = ("accuracy", "ticks", "latency", "energy", "peak_ram", "flash")

#: Other names that limits may use.
ALIASES: Final = {
    **{metric.column: metric.name for metric in METRICS.values() if metric.column != metric.name},
    "cycles": "ticks",
    "instructions": "ticks",
    "ram": "peak_ram",
    "ram_peak": "peak_ram",
}


def energy_name(sources: Iterable[str | None]) -> str:
    """Return what an energy is called: it never stands anywhere without what it comes from.

    Args:
        sources: `power_source` of the cases that it is shown of.
    """
    known = sorted({source for source in sources if isinstance(source, str)})
    if known == [SIMULATED]:
        return "simulated energy"
    return f"energy ({', '.join(known)})" if known else "energy (unknown source)"
