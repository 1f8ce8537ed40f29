"""A board behind a debug probe and a serial port: pyOCD and pyserial. Hardware and the virtual board share it."""

from __future__ import annotations

import contextlib
import logging
import struct
import time
from typing import TYPE_CHECKING, Any

from pyocd.flash.loader import MemoryLoader

from harness.boards.base import Board
from harness.boards.flash_compare import first_difference
from harness.boards.probe_stream import ProbeStream, find_mailbox
from harness.boards.pyocd_session import PYOCD_ERRORS, attach, forward_only, translated
from harness.boards.serial_stream import REOPEN_POLL_S, REOPEN_S, SerialStream, reopen
from harness.boards.softdevice import softdevice_in_the_way
from harness.boards.stopped import why_stopped
from harness.boards.usb_stream import VANISH_S, UsbStream
from harness.config.access import SerialLines
from harness.errors import BoardError, ConfigError, FlashError, LockedError, ProbeError

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from harness.boards.base import Backend
    from harness.config import BoardKind
    from harness.config.access import LinkKind
    from harness.image.elf import Image

_VTOR = 0xE000ED08
_XPSR_THUMB = 1 << 24
_READ_BLOCK = 16384

#: SWD clock of the second try: a tenth of pyOCD's default, for long or bad wires.
_SLOW_SWD_HZ = 100_000


class ProbeBoard(Board):
    """One board, open until `close`.

    Args:
        name: the device, as devices.yaml calls it.
        kind: its kind of board, which says chip, clock and links.
        backend: `hardware`, or `virtual` for the software twin.
        probe_uid: unique id of its debug probe.
        port: its serial port, a path or a pyserial URL; "" while `usb` has none, and for `probe`.
        over: which of its connections the link is: `uart`, `usb`, which goes and comes with the firmware, or `probe`.
        unlock: whether a locked part may be erased whole, bootloader included.

    Raises:
        ProbeError: no such probe, no core answers behind it, or the part is locked.
        ConfigError: pyOCD doesn't know the target.
    """

    lines: SerialLines = SerialLines()
    vanish_s = VANISH_S

    def __init__(
        self,
        name: str,
        kind: BoardKind,
        backend: Backend,
        probe_uid: str,
        port: str,
        over: LinkKind = "uart",
        *,
        unlock: bool = False,
    ) -> None:
        super().__init__(name, kind, backend)
        self.probe_uid = probe_uid
        self.port = port
        self._stream: SerialStream | UsbStream | ProbeStream | None = None
        self.over = over
        self._opened = False
        self._swd_hz: int | None = None
        self._unlock = unlock
        self._session: Any = self._open_session()
        try:
            self._check_part()
        except BaseException:
            self.close()
            raise

    def _check_part(self) -> None:
        """Read the chip's part number, where its kind says how, and refuse another chip than the kind's."""
        part = self.kind.part
        if part is None:
            return
        found = int.from_bytes(self.read_memory(part.address, 4), "little") & part.mask
        if found != part.value:
            raise ConfigError(
                f"{self.name}: wrong chip behind probe {self.probe_uid}: its part number is 0x{found:X}, that of the "
                f"{self.kind.mcu} on a {self.kind.title} is 0x{part.value:X}. Correct the device's kind or probe in "
                "devices.yaml; nothing was written to the chip"
            )

    def flash(self, image: Image, progress: Callable[[float], None] | None = None) -> None:
        """Program an image by sectors, read it back and compare; what lies outside its sectors is kept."""
        self.adopt(image)
        try:
            self._program(image, progress)
        except (ProbeError, FlashError) as error:
            protects = softdevice_in_the_way(image, self.kind, self.probe_uid, self.read_memory)
            if protects is not None:
                raise FlashError(f"{error}. {protects}") from error
            if self._swd_hz is not None:
                raise
            self._swd_hz = _SLOW_SWD_HZ
            self.notes.append(f"{error}. Tried again with SWD at {_SLOW_SWD_HZ // 1000} kHz")
            try:
                self.close_probe()  # the port stays open: a conversation goes on over it
                self.open_probe()
                self._program(image, progress)
            except (ProbeError, FlashError) as again:
                raise type(again)(f"{again} (SWD at {_SLOW_SWD_HZ // 1000} kHz; at full speed: {error})") from error

    def contains(self, image: Image) -> bool:
        """Read the flash through the probe, and compare it with every segment of an image.

        What can't be read isn't there: programming says what is wrong, and tries a slower clock.
        """
        try:
            return first_difference(image, self.read_memory) is None
        except ProbeError as error:
            self.notes.append(f"{error}. So the flash could not be compared with {image.path.name}, which is written")
            return False

    def _program(self, image: Image, progress: Callable[[float], None] | None) -> None:
        with self._translated("programming the flash", FlashError):
            self._target.reset_and_halt()
            keep, steps = not self.kind.flash_whole, forward_only(progress)
            loader = MemoryLoader(self._session, progress=steps, chip_erase="sector", smart_flash=keep)
            for segment in image.segments:
                loader.add_data(segment.address, segment.data)
            loader.commit()
        self._verify(image)

    def _verify(self, image: Image) -> None:
        different = first_difference(image, self.read_memory)
        if different is not None:
            raise FlashError(
                f"{self.name}: after programming {image.path.name}, {different}. Check power and the SWD wires, and "
                "try again; if it stays, the flash is worn out"
            )

    def reset(self) -> None:
        """Reset the board and start its application from the application's own vector table.

        The core is halted at its reset vector, before a bootloader runs, so this works with and without one.

        Raises:
            ProbeError: the probe lost the board.
            BoardError: there is no application in flash.
        """
        vectors = self._image.vectors if self._image else self.kind.flash.start
        if isinstance(self._stream, UsbStream):
            self._stream.leave()
        elif isinstance(self._stream, ProbeStream):
            self._stream.forget()
        with self._translated("resetting"):
            self._target.reset_and_halt()
            stack, entry = struct.unpack("<II", bytes(self._target.read_memory_block8(vectors, 8)))
            if self.kind.memory_at(stack - 1) is None or not self.kind.flash.contains(entry):
                raise BoardError(
                    f"{self.name}: no application at 0x{vectors:X} (its first words are 0x{stack:08X} and "
                    f"0x{entry:08X}); flash an image first"
                )
            self._target.write32(_VTOR, vectors)
            self._target.write_core_register("msp", stack)
            self._target.write_core_register("sp", stack)
            self._target.write_core_register("xpsr", _XPSR_THUMB)
            self._target.write_core_register("pc", entry & ~1)
            self._target.resume()

    def link(self) -> SerialStream | UsbStream | ProbeStream:
        """Return what carries the link, opened on first use, and again after a port had vanished.

        Raises:
            LinkError: it can't be opened, or isn't back in time.
            ProbeError: the port of USB had vanished, and the probe doesn't reach the board again in time.
        """
        if self._stream is None and self.over == "usb":
            self._stream = UsbStream(self.name, self.locate_port, self.lines, self.guard, self.vanish_s)
        elif self._stream is None and self.over == "probe":
            self._stream = ProbeStream(self.name, self._core, self._mailbox, self._translated, self.guard)
        if isinstance(self._stream, ProbeStream):
            return self._stream
        if isinstance(self._stream, UsbStream):
            if self._stream.vanished:
                self._await_power()
                self._stream.vanished = False
            return self._stream
        if self._stream is not None and self._stream.gone:
            self._stream.close()
            self._stream = None
        if self._stream is None and not self._opened:
            self._stream = SerialStream(self.name, self.port, self.kind.baud, self.lines, self.guard)
            self._opened = True
        elif self._stream is None:
            self._stream = reopen(
                self.name, self.locate_port, self.kind.baud, self.lines, self.guard, patience=REOPEN_S
            )
            if self._stream.port != self.port:
                self.notes.append(f"serial port {self.port} came back as {self._stream.port}")
                self.port = self._stream.port
        return self._stream

    def _await_power(self) -> None:
        """Wait until the probe reaches the board: where USB's port vanishes, the board's supply may be gone, too."""
        deadline = time.monotonic() + REOPEN_S
        while True:
            try:
                if self._session is None:
                    self.open_probe()
                self.read_memory(self.kind.ram.start, 4)
            except LockedError:
                raise
            except ProbeError as error:
                self.close_probe()
                if time.monotonic() >= deadline:
                    raise ProbeError(f"{error} (waited {REOPEN_S:g} s for the board to come back)") from error
                time.sleep(REOPEN_POLL_S)
            else:
                return

    def adopt(self, image: Image) -> None:
        """Take it that `image` is in flash.

        Raises:
            ImageError: the image is not for this board, or doesn't answer over its link.
        """
        if self.over == "probe":
            find_mailbox(self.name, self.kind, image)
        super().adopt(image)

    def _mailbox(self) -> int:
        return find_mailbox(self.name, self.kind, self._image, self._core)

    def locate_port(self) -> str:
        """Find the path of the board's serial port as it is now."""
        return self.port

    def read_memory(self, address: int, size: int) -> bytes:
        """Read `size` bytes of memory.

        Raises:
            ProbeError: the probe lost the board, or there is no memory at that address.
        """
        content = bytearray()
        with self._translated(f"reading {size} bytes at 0x{address:X}"):
            while len(content) < size:
                place, left = address + len(content), min(_READ_BLOCK, size - len(content))
                if place % 4 or left < 4:
                    content += bytes(self._target.read_memory_block8(place, min(left, 4 - place % 4)))
                else:  # by words, of which pyOCD has a quarter to look at
                    content += struct.pack(f"<{left // 4}I", *self._target.read_memory_block32(place, left // 4))
        return bytes(content)

    def crash_report(self) -> str | None:
        """Say why the firmware stopped, or where it is executing; None if it sleeps as it does while waiting."""
        with self._translated("looking where the firmware is"):
            return why_stopped(self._target, self._image, self.read_memory)

    def reconnect(self) -> None:
        """Let go of probe and port, and open the probe again; the port follows when it is next used."""
        vanished = isinstance(self._stream, UsbStream) and self._stream.vanished
        self.let_go()
        if vanished or self.over == "probe":  # nothing else tells when the board is back
            self._await_power()
        else:
            self.open_probe()

    def let_go(self) -> None:
        """Close probe and port, to open them again later."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None
        self.close_probe()

    def close_probe(self) -> None:
        """Let go of the probe only. Safe to call twice."""
        session, self._session = self._session, None
        if session is not None:
            with contextlib.suppress(*PYOCD_ERRORS):
                session.close()

    def open_probe(self) -> None:
        """Open the probe again."""
        self._session = self._open_session()

    # ---- pyOCD

    @property
    def _target(self) -> Any:
        self.guard()
        return self._core()

    def _core(self) -> Any:
        if self._session is None:
            raise ProbeError(f"{self.name}: the probe {self.probe_uid} is not open")
        return self._session.target

    def _open_session(self) -> Any:
        self.guard()
        logging.getLogger("pyocd").setLevel(logging.ERROR)  # what matters is raised, and said in our words
        with self._translated("opening the probe"):
            session, erased = attach(self.name, self.kind, self.probe_uid, frequency=self._swd_hz, unlock=self._unlock)
        if erased:
            self.notes.append(f"the {self.kind.mcu} was locked: it was erased whole, bootloader included")
        return session

    def _translated(self, doing: str, kind: type[BoardError] = ProbeError) -> AbstractContextManager[None]:
        return translated(self.name, self.probe_uid, doing, kind)
