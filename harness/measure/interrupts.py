"""Interrupts in what is timed: their handlers' work is in the counts of an inference."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.link.messages import DeviceStats


def interrupt_columns(stats: DeviceStats) -> dict[str, Any]:
    """Return how many interrupts fell into an inference, on average over those since boot; or why that isn't known."""
    if stats.interrupts is None:
        return {"interrupts_reason": "the program that the agent runs in allows interrupts, and nobody counts them"}
    return {"interrupts_per_inference": stats.interrupts / max(stats.inferences, 1)}


def without_interrupts(estimated: Mapping[str, Any], interrupts: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the columns of an estimate of cycles, which knows nothing of interrupts, if there were none."""
    if not estimated or interrupts.get("interrupts_per_inference") == 0:
        return estimated
    unknown = interrupts.get("interrupts_reason")
    taken = "interrupts were taken" if unknown is None else f"whether interrupts were taken isn't known ({unknown})"
    return {"estimated_cycles_reason": f"{taken}: to enter and leave them takes cycles that aren't estimated"}


def interrupt_warning(row: Mapping[str, Any]) -> str | None:
    """Return a sentence on the interrupts that the counts of a case contain; None if there were none."""
    least, most = row.get("ticks_min"), row.get("ticks_max")
    if row.get("interrupts_reason") is not None:
        happened = f"{row['interrupts_reason']}: what they took is in its {row['counter']}"
    elif row.get("interrupts_per_inference"):
        each = float(row["interrupts_per_inference"])
        happened = (
            f"{each:.3g} interrupts and task switches fell into an inference on average: what they took is in its "
            f"{row['counter']}"
        )
    else:
        return None
    return f"{happened}, {least:,} to {most:,}, and not the model's"
