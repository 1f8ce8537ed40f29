"""A board emulated by Renode."""

from __future__ import annotations

import hashlib
import shutil
import time
from typing import TYPE_CHECKING

from harness.boards.base import Board
from harness.boards.flash_compare import first_difference
from harness.boards.renode.log import log_size, read_log
from harness.boards.renode.machine import Machine
from harness.config.chip import shipped_chips
from harness.errors import BoardError, BoardFaultError, ConfigError, EmulatorError, FlashError
from harness.link.fault_record import FAULT_BYTES, describe_fault

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from harness.boards.renode.find import Renode
    from harness.boards.renode.stream import SocketStream
    from harness.config import Device
    from harness.image.elf import Image

#: Scripts that make a board, by the emulated chip that a kind names as its `twin`.
PLATFORMS = {"nrf52840": "nano33"}

_CYCCNT = 0xE0001004
_WAITING = {"hal_rx_wait", "hal_tx", "sleep_until_event"}
_LOOKS, _LOOK_S = 10, 0.01


class RenodeBoard(Board):
    """One board in one Renode process, open until `close`.

    Args:
        device: as selected; its kind must be one that Renode can emulate.
        renode: the Renode that is installed.
        isolated: whether to ask the system to keep Renode's ports off the network.

    Attributes:
        logs: folder that Renode's log is kept in; None throws it away.
        port: where the serial line is, in words.

    Raises:
        ConfigError: this kind of board has no platform for Renode.
        EmulatorError: Renode can't be started, or refuses what it is told.
    """

    def __init__(self, device: Device, renode: Renode, *, isolated: bool = True) -> None:
        super().__init__(device.name, device.kind, "renode")
        if device.kind.twin not in PLATFORMS:
            raise ConfigError(f"{device.name}: there is no Renode platform for {device.kind.title}; attach a real one")
        self._platform = PLATFORMS[device.kind.twin]
        self._renode = renode
        self._isolated = isolated
        self.logs: Path | None = None
        self.port = "not open"
        self._machine: Machine | None = None
        self._log_start = 0
        self._flashed = self._counted = False
        if renode.warning:
            self.notes.append(renode.warning)
        self._start()

    # ---- starting and ending

    def _start(self) -> None:
        self._machine = machine = Machine(self.name, self._renode, self._platform, isolated=self._isolated)
        self.port = machine.port
        if machine.process.open_to_network and self._isolated:
            self.notes.append(f"other computers may reach Renode's ports: {machine.process.open_to_network}")
        chip = shipped_chips()[self.kind.twin or ""]
        try:
            if (identity := chip.identity) is not None:
                for index, word in enumerate(chip_id(self.name)):
                    machine.write_word(identity.start + 4 * index, word)
            if self.kind.part is not None:
                machine.write_word(self.kind.part.address, self.kind.part.value)
        except BaseException:
            self.let_go()
            raise

    @property
    def _live(self) -> Machine:
        if self._machine is None:
            raise EmulatorError(f"{self.name}: Renode is switched off")
        return self._machine

    def let_go(self) -> None:
        """End Renode, and keep its log. Safe to call twice."""
        machine, self._machine = self._machine, None
        self._flashed = False
        if machine is None:
            return
        if self.logs is not None:
            self._keep(machine.process.log, self.logs)
        how = machine.close()
        if how in {"SIGTERM", "SIGKILL"}:
            self.notes.append(f"Renode didn't end by itself: {how} was needed")

    def _keep(self, log: Path, folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with log.open("rb") as source, (folder / f"{self.name}.renode.log").open("ab") as kept:
                shutil.copyfileobj(source, kept)
        except OSError as error:
            self.notes.append(f"Renode's log can't be kept in {folder}: {error}")

    @property
    def ended(self) -> bool:
        """Whether Renode's process has ended, or was switched off."""
        return self._machine is None or self._machine.process.ended

    def reconnect(self) -> None:
        """End Renode and start another one; what was in flash is gone."""
        self.let_go()
        self._start()

    # ---- the board

    def flash(self, image: Image, progress: Callable[[float], None] | None = None) -> None:
        """Load an image, read it back and compare."""
        self.adopt(image)
        self._flashed = False
        self._live.load(image)
        if progress is not None:
            progress(0.5)
        different = first_difference(image, self._live.read)
        if different is not None:
            raise FlashError(f"{self.name}: after loading {image.path.name}, {different}. See Renode's log")
        self._flashed = True
        if progress is not None:
            progress(1.0)

    def contains(self, image: Image) -> bool:
        """Read the emulated flash, and compare it with every segment of an image."""
        return self._flashed and first_difference(image, self._live.read) is None

    def reset(self) -> None:
        """Reset the board and start its image from the image's vector table.

        Raises:
            BoardError: there is no image in flash.
            EmulatorError: Renode refuses, or is gone.
        """
        if self._image is None or not self._flashed:
            raise BoardError(f"{self.name}: nothing is in the flash of the emulated board; flash an image first")
        self._log_start = log_size(self._live.process.log)
        self._counted = False
        self._live.reset(self._image.vectors)

    def link(self) -> SocketStream:
        """Return the serial line."""
        stream = self._live.stream
        if stream is None:
            raise EmulatorError(f"{self.name}: Renode is switched off")
        return stream

    def instructions(self) -> int:
        """Return Renode's ExecutedInstructions since the last reset."""
        return self._live.number("cpu ExecutedInstructions")

    def cycle_counter(self) -> int:
        """Return the emulated CYCCNT, which goes on while the CPU sleeps; modulo 2^32."""
        return self._live.number(f"sysbus ReadDoubleWord 0x{_CYCCNT:X}")

    def read_memory(self, address: int, size: int) -> bytes:
        """Read `size` bytes of flash, RAM or the information page in one request.

        Raises:
            BoardFaultError: Renode's log says that the firmware did what stops a real board.
            EmulatorError: Renode refuses, or is gone.
        """
        content = self._live.read(address, size)
        found = read_log(self._live.process.log, self._log_start)
        if found.fault is not None:
            raise BoardFaultError(
                f"{self.name}: the firmware did what a real board would not go on after. {found.fault}"
            )
        if self.kind.memory_at(address) is not None and not self._counted:
            self._counted = True
            self._note_counters(found.unmodelled)
        return content

    def _note_counters(self, unmodelled: tuple[str, ...]) -> None:
        self._live.command("pause")
        try:
            text = f"{self.instructions()} ExecutedInstructions since the reset, CYCCNT at {self.cycle_counter()}"
        finally:
            self._live.command("start")
        self.notes.append(f"Renode counts {text}")
        self.notes += [f"not modelled by Renode: {line}" for line in unmodelled]

    def crash_report(self) -> str | None:
        """Say why the firmware stopped, or where it is executing; None if it waits for the host.

        Raises:
            EmulatorError: Renode is gone.
        """
        fault = read_log(self._live.process.log, self._log_start).fault
        image = self._image
        for _ in range(_LOOKS):
            pc = self._live.number("cpu PC")
            name = image.function_at(pc) if image else None
            # While it sends what it has recorded, the fault handler is where firmware that waits is, too.
            if image and "hil_fault_record" in image.symbols:
                record = self._live.read(image.symbols["hil_fault_record"], FAULT_BYTES)
                if any(record):  # a start clears it
                    return f"the firmware stopped in its fault handler: {describe_fault(record, image.function_at)}"
            if name in _WAITING:
                break
            time.sleep(_LOOK_S)  # it may be about to wait
        place = f"at PC 0x{pc:08X}" + (f" in {name}" if name else "")
        if fault is not None:
            return f"the firmware is {place}. {fault}"
        return None if name in _WAITING else f"the firmware is running {place}"


def keep_log(board: Board, folder: Path) -> None:
    """Let an emulated board keep its emulator's log in a folder; nothing happens for any other board."""
    if isinstance(board, RenodeBoard):
        board.logs = folder


def chip_id(name: str) -> tuple[int, int]:
    """Return the two words of the chip's identity that an emulated board is given, from its name."""
    digest = hashlib.sha256(f"renode/{name}".encode()).digest()
    return int.from_bytes(digest[:4], "little"), int.from_bytes(digest[4:8], "little")
