"""Flashing a Nano 33 BLE over its own USB, by the bootloader that Arduino ships, and so without a debug probe.

The bootloader speaks a dialect of Atmel's SAM-BA: a letter, numbers of eight hexadecimal digits, `#`. It can't be read
out; it tells the CRC of what is in flash. Read in a disassembly of the bootloader that Arduino's core for Mbed ships.
"""

from __future__ import annotations

import binascii
import re
import sys
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import serial

from harness.boards.discover import ARDUINO_APPLICATION, ARDUINO_BOOTLOADER
from harness.boards.firmware_files import binary
from harness.errors import ConfigError, FlashError, LinkError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from harness.boards.discover import Port
    from harness.config import Device
    from harness.image.elf import Image

#: Where applications begin, and the bootloader's offsets; below is the bootloader itself.
APPLICATION = 0x10000
#: The bootloader erases whole pages only, and has room for one when it computes a CRC.
PAGE = 4096
DOUBLE_TAP = "Press the board's reset button twice quickly, so that its LED pulses, and try again"
#: What pyserial raises, of a port that goes while it is opened, too.
PORT_ERRORS: tuple[type[Exception], ...] = (serial.SerialException, OSError)
if sys.platform != "win32":
    import termios

    PORT_ERRORS = (*PORT_ERRORS, termios.error)
_POLL_S = 0.05
_SYNC_S = 0.5
_MOST_DATA = 8192  # what it takes as data before it listens to a command again
_USED = set("IKYZ")  # the commands of its own that it must know


class Arduino:
    """The bootloader as a flasher. `flash` leaves the board in it, `reset` starts the application.

    Args:
        device: as configured.
        find: finds the board's port, of its application or of its bootloader; raises LinkError while there is none.
        patience: how long the board may be away from the bus, seconds.
        answer: how long the bootloader may take for an answer, seconds; to erase and write a page takes it 0.13 s.
    """

    def __init__(
        self, device: Device, find: Callable[[], Port], *, patience: float = 20.0, answer: float = 10.0
    ) -> None:
        self._device = device
        self._find = find
        self._patience = patience
        self._answer = answer

    def flash(self, image: Image, progress: Callable[[float], None] | None = None) -> None:
        """Write an image and compare the CRC of each of its pages.

        The first page, without which the bootloader starts nothing, is erased before and written after all others: an
        upload that breaks off leaves the board in its bootloader.

        Raises:
            FlashError: the image reaches below 0x10000, the bootloader doesn't appear or answer, or a CRC differs.
            ConfigError: another chip answers.
        """
        pages = self._pages(image)
        first = pages.pop(0)
        with self._bootloader() as bootloader:
            bootloader.write(APPLICATION, b"\xff" * PAGE)
            for done, (address, content) in enumerate([*pages, first], 1):
                bootloader.write(address, content)
                if progress is not None:
                    progress(done / (len(pages) + 1))

    def reset(self) -> None:
        """Start the application anew, through the bootloader.

        Raises:
            FlashError: the bootloader doesn't appear or answer, or the application doesn't join the bus.
        """
        with self._bootloader() as bootloader:
            bootloader.leave()
        gone = False
        deadline = time.monotonic() + self._patience
        while time.monotonic() < deadline:
            found = self._seen()
            if found is not None and not found.in_bootloader:
                return
            if found is not None and gone:
                raise FlashError(
                    f"{self._device.name}: the bootloader found no application to start, and is back as {found.path}. "
                    f"Flash an image first (`hil flash IMAGE --device {self._device.name}`)"
                )
            gone = gone or found is None
            time.sleep(_POLL_S)
        raise FlashError(
            f"{self._device.name}: the application was started, but {self._patience:g} s later there is no USB port of "
            f"{_ids(ARDUINO_APPLICATION)}. Does that firmware use USB? Images built before `link: usb` must be built "
            f"again. {DOUBLE_TAP}"
        )

    def _pages(self, image: Image) -> list[tuple[int, bytes]]:
        lowest = min([self._device.kind.flash.start, *(segment.address for segment in image.segments)])
        if lowest < APPLICATION:
            raise FlashError(
                f"{self._device.name}: {image.path.name} reaches down to 0x{lowest:X}, but the Arduino bootloader is "
                f"below 0x{APPLICATION:X}, and writing there would take it away. Link the image behind it (`flash` of "
                "the kind says where), or flash it with a debug probe"
            )
        gap = b"\xff" * (self._device.kind.flash.start - APPLICATION)
        content = gap + binary(image, self._device.kind)
        content += b"\xff" * (-len(content) % PAGE)
        return [(APPLICATION + at, content[at : at + PAGE]) for at in range(0, len(content), PAGE)]

    # ------------------------------------------------------------------ into the bootloader

    @contextmanager
    def _bootloader(self) -> Iterator[_SamBa]:
        name = self._device.name
        self._enter()
        port = self._open()
        try:
            bootloader = _SamBa(name, port, self._answer)
            bootloader.greet(self._device.kind.mcu)
            yield bootloader
        except PORT_ERRORS as error:
            raise FlashError(
                f"{name}: {port.port} is gone while the bootloader was spoken to: {error}. Plug the board in anew, and "
                "try again"
            ) from error
        finally:
            port.close()

    def _enter(self) -> None:
        """Send the board into its bootloader, unless it is there."""
        name = self._device.name
        deadline = time.monotonic() + self._patience
        while (before := self._seen()) is None and time.monotonic() < deadline:
            time.sleep(_POLL_S)
        if before is None:
            try:
                before = self._find()
            except LinkError as error:
                raise FlashError(f"{error}. {DOUBLE_TAP}") from error
        if before.in_bootloader:
            return
        problem = ""
        try:
            port = serial.serial_for_url(before.path, baudrate=1200, do_not_open=True)
            port.dtr = False  # the system raises it on opening; its fall at 1200 baud is the touch
            port.open()
            port.close()
        except PORT_ERRORS as error:  # or the board has gone already, as it should
            problem = f" (opening it said: {error})"
        deadline = time.monotonic() + self._patience
        while (found := self._seen()) is None or not found.in_bootloader:
            if time.monotonic() < deadline:
                time.sleep(_POLL_S)
                continue
            what = "it went, and nothing came back" if found is None else f"{found.path} is there"
            raise FlashError(
                f"{name}: {before.path} was opened at 1200 baud{problem}, but {self._patience:g} s later its "
                f"bootloader ({_ids(ARDUINO_BOOTLOADER)}) has not appeared: {what}. {DOUBLE_TAP}"
            )

    def _open(self) -> serial.Serial:
        """Open the bootloader's port, once the system lets us: it may set permissions a moment later."""
        deadline = time.monotonic() + self._patience
        while True:
            try:
                found = self._seen()
                if found is None:
                    raise OSError("it has gone")
                path = found.path
                options: dict[str, Any] = {} if "://" in path else {"exclusive": True}
                return serial.serial_for_url(path, 115_200, write_timeout=self._answer, **options)
            except PORT_ERRORS as error:
                if time.monotonic() >= deadline:
                    raise FlashError(
                        f"{self._device.name}: the bootloader's port can't be opened: {error}. May you read and write "
                        "it, and has no other program opened it? (`hil doctor` checks)"
                    ) from error
            time.sleep(_POLL_S)

    def _seen(self) -> Port | None:
        try:
            return self._find()
        except LinkError:
            return None


class _SamBa:
    """The bootloader at the other end of an open port. Offsets of the dialect begin at the application."""

    def __init__(self, name: str, port: serial.Serial, answer: float) -> None:
        self._name = name
        self._port = port
        self._answer = answer

    def greet(self, mcu: str) -> None:
        """Make sure that the bootloader listens, knows what it is asked for, and is on the right chip."""
        if not self._ask(b"N#", rb"\n\r", _SYNC_S):
            # Something is before our command, or it still takes bytes for data, of an upload that broke off.
            self._port.write(b"#" * _MOST_DATA)
            time.sleep(_SYNC_S)
            if not self._ask(b"N#", rb"\n\r"):
                raise FlashError(f"{self._name}: the bootloader at {self._port.port} doesn't answer. {DOUBLE_TAP}")
        version = self._ask(b"V#", rb"\[Arduino:(\w+)\]\n\r")
        if version is None or not set(version[1].decode()) >= _USED:
            raise FlashError(
                f"{self._name}: the bootloader at {self._port.port} doesn't say that it knows Arduino's commands "
                "(I, K, Y, Z). Burn the bootloader of Arduino's core for this board, or use a debug probe"
            )
        chip = self._ask(b"I#", rb"([\w-]+)\n\r")
        if chip is None or not chip[1].decode().lower().startswith(mcu.lower()):
            answer = "nothing" if chip is None else chip[1].decode()
            raise ConfigError(
                f"{self._name}: wrong chip: its bootloader says {answer}, but the kind has an {mcu}. Correct the "
                "device's kind or port in devices.yaml; nothing was written to the chip"
            )

    def write(self, address: int, page: bytes) -> None:
        """Erase and write a page, and compare its CRC."""
        offset = address - APPLICATION
        self._port.write(b"S00000000,%08X#" % len(page))
        self._port.write(page)
        told = self._ask(b"Y00000000,0#", rb"Y\n\r") and self._ask(b"Y%08X,%08X#" % (offset, len(page)), rb"Y\n\r")
        checked = told and self._ask(b"Z%08X,%08X#" % (offset, len(page)), rb"Z([0-9A-F]{8})#\n\r")
        if not checked:
            raise FlashError(
                f"{self._name}: the bootloader doesn't answer any more while 0x{address:X} is written. {DOUBLE_TAP}"
            )
        found, wanted = int(checked[1], 16), binascii.crc_hqx(page, 0)
        if found != wanted:
            raise FlashError(
                f"{self._name}: after writing {len(page)} bytes at 0x{address:X}, their CRC is 0x{found:04X}, not "
                f"0x{wanted:04X}. Check the cable, and try again; if it stays, the flash is worn out"
            )

    def leave(self) -> None:
        """Reset the board, which leads to the application."""
        self._port.write(b"K#")
        with suppress(*PORT_ERRORS):  # it may be gone already
            self._port.flush()

    def _ask(self, command: bytes, answer: bytes, timeout: float | None = None) -> re.Match[bytes] | None:
        """Send a command; return what its answer matches, None if nothing did in time."""
        self._port.reset_input_buffer()  # some answers have bytes behind their end
        self._port.write(command)
        got = b""
        deadline = time.monotonic() + (self._answer if timeout is None else timeout)
        while (left := deadline - time.monotonic()) > 0:
            self._port.timeout = left
            got += self._port.read(max(self._port.in_waiting, 1))
            if found := re.search(answer, got):
                return found
        return None


def _ids(usb: tuple[int, int]) -> str:
    return f"{usb[0]:04x}:{usb[1]:04x}"
