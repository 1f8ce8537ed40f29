"""How long a battery lasts if inferences are all that the board does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

_HOURS_PER_YEAR = 24 * 365.25


@dataclass(frozen=True)
class Duty:
    """What the battery has to bear.

    Attributes:
        capacity_mah: what the battery holds, in mAh.
        period_s: one inference each so many seconds.
        sleep_ua: what the product draws in between.
        usable: share of the capacity that can be used.
        self_discharge: share of the capacity that a full battery loses in a year by itself.
    """

    capacity_mah: float
    period_s: float
    sleep_ua: float
    usable: float = 0.85
    self_discharge: float = 0.02

    def __post_init__(self) -> None:
        if min(self.capacity_mah, self.period_s) <= 0 or self.sleep_ua < 0:
            raise ConfigError("capacity and period must be above 0, and the sleep current not below")
        if not 0 < self.usable <= 1 or not 0 <= self.self_discharge < 1:
            raise ConfigError("the usable share lies above 0 and up to 1, the self-discharge from 0 to below 1")


@dataclass(frozen=True)
class Life:
    """An estimate.

    Attributes:
        average_ua: mean current from the battery, without self-discharge.
        hours: until the usable capacity is gone.
        inference_share: share of the average current that inferences take.
    """

    average_ua: float
    hours: float
    inference_share: float

    @property
    def text(self) -> str:
        """The life in the unit that fits."""
        if self.hours < 48:
            return f"{self.hours:.1f} hours"
        days = self.hours / 24
        return f"{days:.0f} days" if days < 2 * 365.25 else f"{days / 365.25:.1f} years"


def estimate(row: Mapping[str, Any], duty: Duty) -> Life:
    """Estimate the life of a battery from the energy of a case.

    The mean current is (Q + sleep current x (T - d)) / T, with Q = E / V the charge of one inference, d = Q / I how
    long it takes, and T the period. The battery also loses capacity x self-discharge each year.

    Args:
        row: of the case table; needs energy_uj, power_voltage_v and current_ua_mean.
        duty: what it has to bear.

    Raises:
        ConfigError: an inference takes longer than the period.
    """
    charge_uc = row["energy_uj"] / row["power_voltage_v"]
    duration_s = charge_uc / row["current_ua_mean"]
    if duration_s > duty.period_s:
        raise ConfigError(f"one inference each {duty.period_s:g} s can't be: it is busy for longer than that")
    inference_ua = charge_uc / duty.period_s
    average_ua = inference_ua + duty.sleep_ua * (1 - duration_s / duty.period_s)
    leak_ua = 1000 * duty.capacity_mah * duty.self_discharge / _HOURS_PER_YEAR
    hours = 1000 * duty.capacity_mah * duty.usable / (average_ua + leak_ua)
    return Life(average_ua, hours, inference_ua / average_ua)


def assumptions(duty: Duty) -> list[str]:
    """Say what the estimate takes for granted."""
    return [
        (
            f"one inference each {duty.period_s:g} s and {duty.sleep_ua:g} uA in between; sensors, radio, the "
            "preparation of inputs and starts of the board are not included"
        ),
        (
            f"{duty.capacity_mah:g} mAh, of which {100 * duty.usable:g} % can be used, and a self-discharge of "
            f"{100 * duty.self_discharge:g} % a year"
        ),
        (
            "the board draws from the battery what it drew from the power monitor: the same voltage, no loss in a "
            "regulator, room temperature, and pulses that the battery can give"
        ),
    ]
