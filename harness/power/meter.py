"""The power monitor of one device over a session: opened when first needed, used for each case."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from harness.errors import ConfigError, PowerError
from harness.power.judge import Plan, Window, mean_idle
from harness.power.opening import open_monitor, open_real
from harness.power.windows import measure

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from harness.boards.base import Backend, Board
    from harness.config import Device
    from harness.power.base import Monitor, MonitorInfo
    from harness.power.windows import Job

Wanted = Literal["auto", "off", "required"]

#: What MLPerf Tiny asks for: at least 10 s a window, five windows, each on another input, the median of them.
MLPERF_PLAN = Plan(window_s=10.0, samples=1000, windows=5, inputs=5)
_BOOT_S = 0.5  # until a board that has just got its power can be debugged


@dataclass(frozen=True)
class PowerOptions:
    """What the user chose.

    Attributes:
        wanted: auto measures if a monitor is configured, required fails without energy, off doesn't measure.
        mlperf_rules: windows by the rules of MLPerf Tiny, whatever devices.yaml says.
    """

    wanted: Wanted = "auto"
    mlperf_rules: bool = False


_OTHER_WAY = "connect a serial adapter that doesn't feed the board to its pins TX and RX, and set `link: uart`"
#: Why the energy of a board with such a link can't be measured, and what to do.
_NO_ENERGY = {
    "uart": None,
    "usb": f"a USB cable feeds the board past the power monitor: {_OTHER_WAY}",
    "probe": f"a debugger at work keeps the chip's debug unit and clocks on, which take current: {_OTHER_WAY}",
}


class Meter:
    """Measures energy on one device, or says why not.

    Args:
        device: the board and its `power:` key.
        options: what the user chose.

    Raises:
        ConfigError: energy is required, but no monitor is configured.
    """

    def __init__(self, device: Device, options: PowerOptions) -> None:
        self._supply = device.power
        self._options = options
        self._monitor: Monitor | None = None
        self._device = device.name
        self._no_energy = _NO_ENERGY[device.link]
        self._cable_feeds = device.link == "usb"
        if options.wanted == "required" and self._no_energy:
            raise ConfigError(f"--power required: {device.name} has `link: {device.link}`, and {self._no_energy}")
        if options.wanted == "required" and self._supply is None:
            raise ConfigError(
                f"--power required: no power monitor is configured for {device.name}; add `power:` to it in "
                "devices.yaml (docs/power.md)"
            )

    def header(self) -> list[str]:
        """Say what will measure energy; nothing if nothing does."""
        if self._supply is None or self._options.wanted == "off":
            return []
        if self._no_energy:
            return [f"     power: not measured: {self._no_energy}"]
        what = f"{self._supply.monitor}, {self._supply.voltage_v:g} V"
        if self._supply.simulated:
            return [f"     power: SIMULATED {what}: figures of a data sheet, not a measurement"]
        return [f"     power: {what}"]

    @property
    def plan(self) -> Plan:
        """How long, how many, how strict."""
        supply = self._supply
        if supply is None or self._options.mlperf_rules:
            return MLPERF_PLAN
        return Plan(
            supply.window_s, supply.window_samples, supply.windows, supply.idle_s, supply.max_lost, supply.max_spread
        )

    def feed(self, backend: Backend, log: Callable[[str], None]) -> None:
        """Give a real board its power before it is opened, if the monitor is what feeds it.

        Without the monitor the board can't be opened either, so what goes wrong here is only logged.
        """
        if (
            self._supply is None
            or self._cable_feeds
            or not self._supply.feeds_board
            or backend != "hardware"
            or self._monitor is not None
        ):
            return
        try:
            self._monitor = open_real(self._supply)
        except PowerError as error:
            log(f"power: {error}")
        else:
            time.sleep(_BOOT_S)

    def measure(self, board: Board, job: Job) -> dict[str, Any]:
        """Return the energy columns of a case; without energy, the reason.

        Raises:
            PowerError: energy is required and could not be measured.
            MeasurementError: the board's clock or the monitor's is wrong.
            BoardError: the board failed meanwhile.
        """
        if self._options.wanted == "off":
            return {"energy_reason": "not asked for (--power off)"}
        if self._supply is None:
            return {"energy_reason": "no power monitor"}
        if self._no_energy:
            return {"energy_reason": self._no_energy}
        try:
            _check_parts(board, job)
            if self._monitor is None:
                self._monitor = open_monitor(self._supply, board)
            return self._measured(self._monitor, job)
        except PowerError as error:
            self.close()  # the next case finds it again, if it has come back
            job.log(f"power: {error}")
            if self._options.wanted == "required":
                raise
            return {"energy_reason": str(error)}

    def close(self) -> None:
        """Let go of the monitor. Safe to call twice."""
        if self._monitor is not None:
            self._monitor.close()
            self._monitor = None

    def _measured(self, monitor: Monitor, job: Job) -> dict[str, Any]:
        assert self._supply is not None  # noqa: S101 - the caller has looked
        windows, error = measure(monitor, job, self.plan, self._supply.sync_input)
        job.on_windows([window_row(window, monitor.info) for window in windows])
        if error is not None:
            raise error
        return energy_columns(windows, monitor.info)


def window_row(window: Window, info: MonitorInfo) -> dict[str, Any]:
    """Return a window as a row of the windows table."""
    capture = window.capture
    return {
        "problem": window.problem or None,
        "reason": window.reason or None,
        "power_source": info.source,
        "batches": window.work.batches,
        "pulses": len(capture.pulses),
        "inferences": window.work.inferences,
        "board_s": window.work.seconds,
        "monitor_s": window.monitor_s,
        "energy_uj": window.energy_uj,
        "energy_net_uj": window.energy_net_uj,
        "current_ua_mean": _micro(window.current_a),
        "current_ua_peak": _micro(window.peak_a),
        "idle_before_ua": _micro(capture.before.current_a if capture.before else None),
        "idle_after_ua": _micro(capture.after.current_a if capture.after else None),
        "voltage_v": capture.voltage_v,
        "samples": capture.samples,
        "lost_samples": capture.lost,
        "range_changes": capture.range_changes,
        "file": window.file,
    }


def _check_parts(board: Board, job: Job) -> None:
    if len(job.info.pieces) > 1:
        raise PowerError(
            f"{board.name}: the model takes an input in {len(job.info.pieces)} parts, between which the board waits "
            "for the link: no window holds inferences alone. Build it without --stream-input"
        )


def energy_columns(windows: Sequence[Window], info: MonitorInfo) -> dict[str, Any]:
    """Return the energy columns of a case from its windows; medians over those that are used."""
    used = [window for window in windows if not window.problem]
    energies = [window.energy_uj for window in used if window.energy_uj is not None]
    nets = [window.energy_net_uj for window in used if window.energy_net_uj is not None]
    idle = [found.current_a for found in (mean_idle(window.capture) for window in used) if found]
    energy = float(np.median(energies))
    return {
        "energy_uj": energy,
        "energy_uj_min": min(energies),
        "energy_uj_max": max(energies),
        "energy_net_uj": float(np.median(nets)),
        "inferences_per_joule": 1e6 / energy if energy > 0 else None,
        "current_ua_mean": _micro(float(np.median([window.current_a for window in used]))),
        "current_ua_peak": _micro(max(window.peak_a or 0.0 for window in used)),
        "idle_current_ua": _micro(float(np.median(idle))),
        "power_source": info.source,
        "power_monitor": info.serial or None,
        "power_note": info.note or None,
        "power_voltage_v": float(np.mean([window.capture.voltage_v for window in used])),
        "power_sample_rate_hz": float(info.sample_rate_hz),
        "power_windows": len(used),
        "power_windows_rejected": len(windows) - len(used),
        "power_samples": sum(window.capture.samples for window in used),
        "power_lost_samples": sum(window.capture.lost for window in used),
        "power_range_changes": sum(window.capture.range_changes for window in used),
    }


def _micro(value: float | None) -> float | None:
    return None if value is None else 1e6 * value
