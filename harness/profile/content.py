"""Profiles as JSON has them, and the time that their estimates would be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.profile.functions import FunctionProfile
from harness.report.estimates import EstimatedTime, estimated_time

if TYPE_CHECKING:
    from harness.profile.layers import Profile


def time_of(profile: Profile | FunctionProfile, clock_hz: int) -> EstimatedTime | None:
    """Return the time of all that a profile estimates; None if it estimates nothing."""
    worth = profile.worth
    if worth is None:
        return None
    if isinstance(profile, FunctionProfile):
        estimates = [row.estimate for row in profile.functions if row.estimate is not None]
    else:
        estimates = list(profile.estimates or ())
    low, high = (None, None) if worth.validity.error is None else (end / 100 for end in worth.validity.error)
    return estimated_time(sum(estimate.cycles for estimate in estimates), clock_hz, worth.validity.words, (low, high))


def time_content(profile: Profile | FunctionProfile, clock_hz: int) -> dict[str, Any] | None:
    """Return the same as JSON has it."""
    time = time_of(profile, clock_hz)
    return (
        None if time is None else {"ms": time.ms, "range_ms": time.range_ms, "error": time.error, "clock_hz": clock_hz}
    )


def layers_content(profile: Profile) -> dict[str, Any]:
    """Return a profile by layer as JSON has it."""
    counter = profile.counter.replace(" ", "_")
    rows: list[dict[str, Any]] = []
    for row in profile.layers:
        spec: dict[str, Any] = {"kind": row.name} if row.name else {}
        spec |= {} if row.spec is None else row.spec.model_dump(mode="json")
        measured = {counter: row.ticks, "share": row.share, f"{counter}_per_mac": row.ticks_per_mac}
        estimated = {} if profile.estimates is None else profile.estimates[row.layer].content()
        rows.append({"layer": row.layer} | spec | measured | estimated)
    sums = {
        key: sum(row[key] for row in rows) if rows and all(key in row for row in rows) else None
        for key in ("macs", "bytes_moved", "parameters")
    }
    content: dict[str, Any] = {
        "counter": profile.counter,
        "layers": rows,
        "rest": {counter: profile.rest},
        "total": {counter: profile.total} | sums,
        "inference": {counter: profile.inference},
    }
    if profile.estimates is not None:
        content["rest"] |= profile.estimates[-1].content()
    content |= _estimate_content(profile)
    if profile.why_no_layers is not None:
        content["why_no_layers"] = profile.why_no_layers
    return content


def _estimate_content(profile: Profile | FunctionProfile) -> dict[str, Any]:
    """Return what the estimates are worth, or why there are none."""
    if profile.worth is not None:
        return profile.worth.content()
    return {} if profile.why_no_estimates is None else {"estimated_cycles_reason": profile.why_no_estimates}


def functions_content(profile: FunctionProfile) -> dict[str, Any]:
    """Return a profile by function as JSON has it."""
    total = sum(row.instructions for row in profile.functions)
    return {
        "counter": "instructions",
        "functions": [
            {"function": row.function, "instructions": row.instructions, "share": row.share}
            | ({} if row.estimate is None else row.estimate.content())
            for row in profile.functions
        ],
        "total": {"instructions": total, "inference": profile.counter},
    } | _estimate_content(profile)
