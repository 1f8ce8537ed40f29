"""A simulated monitor together with the virtual board that it watches: opened and closed as one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from harness.errors import PowerError
from harness.power.lpm01a import Lpm01a
from harness.power.ppk2 import Ppk2
from harness.power.virtual.activity import BoardActivity
from harness.power.virtual.lpm01a import VirtualLpm01a
from harness.power.virtual.ppk2 import VirtualPpk2
from harness.power.virtual.profile import NRF52840

if TYPE_CHECKING:
    from harness.boards.virtual import VirtualNrf52840
    from harness.config.power import PowerSupply
    from harness.power.base import Chunk, MonitorInfo

_NOTE = f"SIMULATED, one cycle per instruction at 64 MHz. {NRF52840.source}"


class SimulatedMonitor:
    """The real host code on a device that doesn't exist.

    Args:
        board: the virtual board that is measured.
        supply: the device's `power:` in devices.yaml.

    Raises:
        PowerError: this system has no pseudo-terminals.
    """

    def __init__(self, board: VirtualNrf52840, supply: PowerSupply) -> None:
        activity = BoardActivity(board, NRF52840, supply.sync_input)
        ppk2 = supply.monitor == "ppk2"
        self._device: VirtualPpk2 | VirtualLpm01a
        self._host: Ppk2 | Lpm01a
        try:
            self._device = (VirtualPpk2 if ppk2 else VirtualLpm01a)(activity, noise_a=NRF52840.noise_a)
        except (ImportError, AttributeError, OSError) as error:
            raise PowerError("simulated power monitors need pseudo-terminals, which this system hasn't") from error
        self._device.start()
        try:
            port, volt = self._device.port, supply.voltage_v
            if ppk2:
                self._host = Ppk2(port, "", volt, supply.mode, simulated=True)
            else:
                self._host = Lpm01a(port, "", volt, supply.rate_hz, binary=supply.format == "binary", simulated=True)
        except PowerError:
            self._device.close()
            raise
        self.info: MonitorInfo = replace(self._host.info, note=_NOTE)

    def start(self) -> None:
        """Begin to stream."""
        self._host.start()

    def read(self) -> Chunk | None:
        """Return what has come."""
        return self._host.read()

    def stop(self) -> Chunk | None:
        """End the stream, and return what was still on its way."""
        return self._host.stop()

    def close(self) -> None:
        """Let go of it, and of the device."""
        self._host.close()
        self._device.close()
