"""What a period makes of an inference: how much of the time the CPU works, whether it is late, and what that costs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from harness.boards.base import Counter
    from harness.config.sequence import Battery

_HOUR = 3600


def duty_columns(
    every_s: float | None,
    battery: Battery | None,
    ticks: Sequence[int],
    counter: Counter,
    clock_hz: int,
    energy: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the columns of the case table on a task with a period; none if it has no period.

    The average power is idle current x voltage + energy_net_uj / period: between two inferences the board is taken to
    wait as this firmware does. A board that is late all the time has none.

    Args:
        every_s: the period, seconds.
        battery: that the power is to come from.
        ticks: of each inference.
        counter: what they are; what emulators count says nothing of time.
        clock_hz: of the counter, Hz.
        energy: the columns on energy, as far as there are any.
    """
    if every_s is None:
        return {}
    columns: dict[str, Any] = {"period_s": every_s}
    if counter != "cycles":
        return columns
    seconds = np.asarray(ticks) / clock_hz
    columns |= {"duty": float(seconds.mean() / every_s), "late": int((seconds > every_s).sum())}
    known = [energy.get(name) for name in ("energy_net_uj", "idle_current_ua", "power_voltage_v")]
    if columns["duty"] <= 1 and None not in known:
        net_uj, idle_ua, volts = map(float, known)  # type: ignore[arg-type]
        columns["power_average_uw"] = idle_ua * volts + net_uj / every_s
        if battery is not None and columns["power_average_uw"] > 0:
            columns["battery_h"] = battery.joules * 1e6 / columns["power_average_uw"] / _HOUR
    return columns


def duty_sentence(row: Mapping[str, Any]) -> str | None:
    """Return what a case (missing values None or NaN) says of its period, None if it has none."""
    period, duty, late, power, hours = (
        None if (value := row.get(name)) is None or value != value else float(value)  # noqa: PLR0124 (NaN)
        for name in ("period_s", "duty", "late", "power_average_uw", "battery_h")
    )
    if period is None:
        return None
    begin = f"every {1000 * period:g} ms"
    if duty is None:
        return f"{begin} {float(row['ticks_median']):,.0f} instructions, which say nothing of time"
    longest = float(row["latency_us_max"])
    told = f"{late:,.0f} inferences are late" if late else "none is late"
    words = (
        f"{begin} the CPU works {100 * duty:.3g} % of the time; the longest inference takes {longest:,.0f} us: {told}"
    )
    if power is not None:
        words += f"; {power:,.0f} uW on average"
    return words + (f", {hours / 24:,.1f} days of the battery" if hours is not None else "")
