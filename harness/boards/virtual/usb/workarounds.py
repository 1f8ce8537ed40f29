"""The undocumented registers beside the USBD, which Nordic's workarounds of its anomalies write."""

from __future__ import annotations

from harness.boards.virtual.chips.peripheral import Peripheral


class Workarounds(Peripheral):
    """The undocumented registers at 0x4006E000, that Nordic's workarounds of anomalies 171, 187 and 211 write."""

    _LOCK, _KEY = 0xC00, 0x9375
    wake_up, speed = 0xC14, 0xD14  # anomaly 171; anomalies 187 and 211

    def write(self, offset: int, value: int) -> None:
        """Write a register, between two writes of the key."""
        if offset == self._LOCK:
            self.registers[offset] = 0 if self.get(offset) or value != self._KEY else 1
        elif offset in (self.wake_up, self.speed):
            if not self.get(self._LOCK):
                self.host.misuse(
                    f"the firmware writes the workaround register 0x4006E{offset:03X} without unlocking it"
                )
            self.registers[offset] = value
