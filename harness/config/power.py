"""How the power of a device is measured: the `power:` key in devices.yaml."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from harness.config.document import Model

Text = Annotated[str, Field(min_length=1)]


class PowerSupply(Model):
    """A power monitor and how it is wired.

    `monitor` is its kind, `serial` its USB serial number (needed if several are attached), `simulated: true` the
    virtual bench, for virtual boards only.
    `voltage_v` is what it gives to the board; in ampere mode and for a Joulescope, what the board's own supply gives.
    `mode` of a PPK2: `source` feeds the board, `ampere` sits in its supply.
    `sync_input` is the number of the input that the board's sync pin is wired to (D0 is 0).
    `sample_rate_hz` of an LPM01A or Joulescope; a PPK2 always takes 100,000 samples per second.
    `format` of what an LPM01A sends.
    `window_s`, `window_samples`, `windows`, `idle_s`, `max_lost` and `max_spread` say how long a window is at least,
    how many are used, how long the board is watched idling, and which share of lost samples and which distance from
    the median a window may have.
    """

    monitor: Literal["ppk2", "lpm01a", "joulescope"]
    serial: Text | None = None
    simulated: bool = False
    voltage_v: Annotated[float, Field(ge=0.8, le=24)]
    mode: Literal["source", "ampere"] = "source"
    sync_input: Annotated[int, Field(ge=0, le=7)] = 0
    sample_rate_hz: Annotated[int, Field(ge=1000, le=2_000_000)] | None = None
    format: Literal["ascii", "binary"] = "binary"
    window_s: Annotated[float, Field(gt=0, le=600)] = 10.0
    window_samples: Annotated[int, Field(ge=10)] = 1000
    windows: Annotated[int, Field(ge=1, le=100)] = 5
    idle_s: Annotated[float, Field(ge=0.05, le=60)] = 1.0
    max_lost: Annotated[float, Field(ge=0, le=0.05)] = 0.01
    max_spread: Annotated[float, Field(gt=0, le=0.5)] = 0.02

    @property
    def rate_hz(self) -> int:
        """Samples per second that the monitor is set to."""
        if self.sample_rate_hz is not None:
            return self.sample_rate_hz
        return 5_000 if self.monitor == "lpm01a" and self.format == "ascii" else 100_000

    @property
    def feeds_board(self) -> bool:
        """Whether the board has its power from the monitor, and none without it."""
        return not self.simulated and (self.monitor == "lpm01a" or (self.monitor == "ppk2" and self.mode == "source"))

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.simulated and self.monitor not in ("ppk2", "lpm01a"):
            raise ValueError(f"there is no simulated {self.monitor}; ppk2 and lpm01a can be simulated")
        if self.simulated and self.serial is not None:
            raise ValueError('a simulated monitor has no "serial"')
        if self.monitor == "ppk2" and self.sample_rate_hz is not None:
            raise ValueError('a PPK2 has one sample rate; leave out "sample_rate_hz"')
        highest = {"ppk2": 5.0, "lpm01a": 3.3}.get(self.monitor)
        if highest is not None and self.voltage_v > highest:
            raise ValueError(f"a {self.monitor} works up to {highest:g} V, not {self.voltage_v:g} V")
        if self.monitor == "lpm01a" and self.voltage_v < 1.8:
            raise ValueError(f"an LPM01A gives 1.8 to 3.3 V, not {self.voltage_v:g} V")
        return self
