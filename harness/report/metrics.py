"""What can be compared: the column it is in, its unit, which way is better, and the least difference that matters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

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
        margin: default least difference of interest: a share for a ratio, else in `unit`.
    """

    name: str
    column: str
    unit: str
    scale: Scale
    more_is_better: bool
    margin: float


METRICS: Final = {
    metric.name: metric
    for metric in (
        Metric("accuracy", "accuracy", "share", "difference", more_is_better=True, margin=0.005),
        Metric("ticks", "ticks_median", "ticks", "ratio", more_is_better=False, margin=0.01),
        Metric("latency", "latency_us_median", "us", "ratio", more_is_better=False, margin=0.01),
        Metric("energy", "energy_uj", "uJ", "ratio", more_is_better=False, margin=0.01),
        Metric("peak_ram", "ram_peak_bytes", "bytes", "difference", more_is_better=False, margin=0),
        Metric("ram_static", "ram_static_bytes", "bytes", "difference", more_is_better=False, margin=0),
        Metric("ram_arena", "ram_arena_bytes", "bytes", "difference", more_is_better=False, margin=0),
        Metric("ram_stack", "ram_stack_bytes", "bytes", "difference", more_is_better=False, margin=0),
        Metric("ram_heap", "ram_heap_bytes", "bytes", "difference", more_is_better=False, margin=0),
        Metric("flash", "flash_bytes", "bytes", "difference", more_is_better=False, margin=0),
        Metric("flash_compressed", "flash_compressed_bytes", "bytes", "difference", more_is_better=False, margin=0),
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
