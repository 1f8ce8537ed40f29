"""A virtual Arduino Uno behind the same serial port, bootloader and avrdude as a real one."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from harness.boards.discover import Port
from harness.boards.firmware_files import binary
from harness.boards.flashers import Avrdude
from harness.boards.port_board import PortBoard
from harness.boards.simavr.process import Twin
from harness.boards.simavr.programs import how_it_is_flashed, require_simavr
from harness.errors import EmulatorError

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.boards.base import Hold
    from harness.config import Device
    from harness.image.elf import Image


class SimavrBoard(PortBoard):
    """One Uno in a process of its own, open until `close`.

    Args:
        device: as selected; its kind's `twin` is one of `SIMAVR_CHIPS`.
        holds: what keeps others from it.

    Attributes:
        twin: the emulated chip, for what only an emulator can tell (the lowest address written).

    Raises:
        ConfigError: simavr isn't here.
        EmulatorError: it doesn't start.
    """

    def __init__(self, device: Device, holds: tuple[Hold, ...] = ()) -> None:
        self._program, (self._optiboot, how) = require_simavr(), how_it_is_flashed()
        self._sync_pin = (device.kind.sync_pin or "PD2").removeprefix("P")
        self.twin = self._start(device.name)
        flasher = Avrdude(device, self._seen, self) if self._optiboot else _Loader(self)
        try:
            super().__init__(device, self._seen, holds, "virtual", flasher)
        except BaseException:
            self.twin.close()
            raise
        if self._optiboot is None:
            self.notes.append(how)

    def _start(self, name: str) -> Twin:
        return Twin(name, self._program, self._sync_pin, self._optiboot)

    def _seen(self) -> Port:
        return Port(self.twin.port, "simavr", None, None)

    def enter_bootloader(self) -> None:
        """Pull the reset pin, as DTR does on a real board; a pseudo-terminal has no such line."""
        self.twin.listen()

    def restart(self) -> None:
        """Pull the reset pin, and don't wait for the bootloader's second."""
        self.twin.reset()

    @property
    def ended(self) -> bool:
        """Whether the process that emulates the board has ended."""
        return self.twin.ended

    def crash_report(self) -> str | None:
        """Say where the firmware is; None if it sleeps, waiting for the host.

        An AVR takes no faults, and has no handler for them: what would run wild on a chip may stop the emulator.
        """
        try:
            status = self.twin.status()
        except EmulatorError as error:
            return str(error)
        name = self._image.function_at(status.pc) if self._image else None
        place = f"at PC 0x{status.pc:04X}" + (f" in {name}" if name else "")
        if status.state == "sleeping":
            return None
        if status.state == "crashed":
            return f"the emulator stopped {place}: {status.said or 'no instruction could be executed there'}"
        if status.state == "asleep-for-ever":
            return f"the firmware sleeps with interrupts off {place}, which only a reset ends"
        return f"the firmware is running {place}"

    def reconnect(self) -> None:
        """Let go of the port; an emulator that has ended is replaced by another one, with nothing in flash."""
        super().reconnect()
        if self.ended:
            self.notes.append("the emulator's process had ended, so another one was started")
            self.twin.close()
            self.twin = self._start(self.name)
            self.port = self.twin.port

    def close(self) -> None:
        """Let go of everything, and end the emulator. Safe to call twice."""
        super().close()
        self.twin.close()


class _Loader:
    """Puts images into the emulated flash where there is no bootloader for avrdude to talk to."""

    def __init__(self, board: SimavrBoard) -> None:
        self._board = board

    def flash(self, image: Image, progress: Callable[[float], None] | None = None) -> None:
        """Write an image, and start it."""
        with tempfile.TemporaryDirectory(prefix="hil-flash-") as folder:
            file = Path(folder, "image.bin")
            file.write_bytes(binary(image, self._board.kind))
            self._board.twin.load(file)
        self.reset()
        if progress is not None:
            progress(1.0)

    def reset(self) -> None:
        """Start the application anew."""
        self._board.restart()
