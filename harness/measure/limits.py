"""Limits of a suite, held against the row of a finished case."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.schema import CASE_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.config import Limit


@dataclass(frozen=True)
class LimitCheck:
    """What came of the limits: one sentence for each that was exceeded, and for each that couldn't be checked."""

    exceeded: tuple[str, ...]
    unchecked: tuple[str, ...]


def check_limits(limits: Mapping[str, Limit], row: Mapping[str, Any]) -> LimitCheck:
    """Hold limits against a case row.

    A limit on a figure that this run has not measured, or on another counter, is not checked and said so.
    """
    exceeded, unchecked = [], []
    for name, limit in limits.items():
        value, unit = row.get(name), CASE_COLUMNS[name].unit
        unit = f" {limit.counter or unit}" if unit not in ("", "share") else ""
        if limit.counter is not None and limit.counter != row["counter"]:
            unchecked.append(f"limit on {name} is in {limit.counter}, but {row['backend']} counts {row['counter']}")
        elif value is None:
            unchecked.append(f"limit on {name}: not measured on {row['backend']}")
        else:
            for side, bound in (("under", limit.min), ("over", limit.max)):
                if bound is not None and (value < bound if side == "under" else value > bound):
                    what = f"{name} is {_figure(value)}{unit}, {side} the limit of {_figure(bound)}"
                    exceeded.append(f"{what}{_of(name, row)}")
    return LimitCheck(tuple(exceeded), tuple(unchecked))


def judge(limits: Mapping[str, Limit], row: Mapping[str, Any]) -> dict[str, str]:
    """Return the columns `verdict` and `verdict_reason` of a complete case; none without limits."""
    if not limits:
        return {}
    check = check_limits(limits, row)
    reasons = [*check.exceeded, *(f"not checked: {sentence}" for sentence in check.unchecked)]
    verdict = "failed" if check.exceeded else "unchecked" if check.unchecked else "passed"
    return {"verdict": verdict} | ({"verdict_reason": "; ".join(reasons)} if reasons else {})


def _figure(value: float) -> str:
    """Write numbers in full, so that 100,001 doesn't look like the limit of 100,000."""
    if float(value).is_integer():
        return f"{int(value):,}"
    return f"{value:,.1f}" if abs(value) >= 1000 else f"{value:.6g}"


def _of(name: str, row: Mapping[str, Any]) -> str:
    if name.startswith(("energy_", "inferences_per_joule", "current_", "idle_current")):
        return f" (energy: {row.get('power_source')})"
    if name not in ("accuracy", "score") or row.get(f"{name}_low") is None:
        return ""
    interval = f"{row[f'{name}_low']:.4f} to {row[f'{name}_high']:.4f}"
    what = f"{row['metric']}, " if name == "score" else ""
    return f" ({what}{row['samples']} samples; 95 % interval {interval})"
