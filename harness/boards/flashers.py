"""What flashes a board other than pyOCD: Arduino's bootloaders, or whatever command the lab names."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import serial

from harness.boards.arduino import Arduino
from harness.boards.firmware_files import binary, intel_hex
from harness.errors import ConfigError, FlashError, LinkError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from harness.boards.discover import Port
    from harness.config import Device
    from harness.config.access import CommandFlasher, SerialLines
    from harness.image.elf import Image

_LINES_SHOWN = 5
_PULSE_S = 0.1
_AVRDUDE_S, _AVRDUDE_BAUD = 120.0, 115_200  # what optiboot on an Uno speaks


class Flasher(Protocol):
    """What writes a board's flash, and can reset the board."""

    def flash(self, image: Image, progress: Callable[[float], None] | None = None) -> None:
        """Write an image.

        Args:
            image: the image to write.
            progress: called with the finished share, 0 to 1, where that can be told.

        Raises:
            FlashError: it failed or took too long; the message says at what.
        """
        ...

    def reset(self) -> None:
        """Start the application anew.

        Raises:
            FlashError, LinkError: that didn't work.
        """
        ...


def make_flasher(device: Device, find: Callable[[], Port], uid: str = "") -> Flasher:
    """Return what flashes a device.

    Args:
        device: the entry of devices.yaml.
        find: finds its serial port.
        uid: the probe's unique id, as pyOCD lists it.

    Raises:
        ConfigError: pyOCD is to flash a board that has no probe.
    """
    if device.flasher == "arduino":
        return Arduino(device, find)
    if device.flasher == "avrdude":
        return Avrdude(device, find)
    if device.flasher == "pyocd":
        raise ConfigError(
            f"{device.name}: no probe is configured in devices.yaml, so pyOCD can't flash it; name its probe, or "
            "another `flasher`"
        )
    return Command(device, device.flasher, find, uid)


class ResetPin(Protocol):
    """A reset pin that is pulled by other means than its port's DTR."""

    def enter_bootloader(self) -> None:
        """Pull it; the bootloader then listens for a while."""
        ...

    def restart(self) -> None:
        """Pull it; the application then starts."""
        ...


class Avrdude:
    """avrdude, through the bootloader of an Arduino with an AVR, which listens for a second after each reset.

    Args:
        device: as configured.
        find: finds its serial port.
        pin: its reset pin; None for a board that DTR resets, as avrdude and opening its port do.
    """

    def __init__(self, device: Device, find: Callable[[], Port], pin: ResetPin | None = None) -> None:
        self._device, self._find, self._pin = device, find, pin

    def flash(self, image: Image, progress: Callable[[float], None] | None = None) -> None:  # noqa: ARG002 - it doesn't say
        """Write an image, read it back and compare.

        Raises:
            FlashError: avrdude is missing, the bootloader doesn't answer, or what is read back differs; avrdude's last
                lines are in the message.
        """
        part, port, baud = self._device.kind.mcu.lower(), self._find().path, str(_AVRDUDE_BAUD)
        with tempfile.TemporaryDirectory(prefix="hil-flash-") as folder:
            file = Path(folder, "image.hex")
            file.write_text(intel_hex(image))
            if self._pin is not None:
                self._pin.enter_bootloader()
            # Its bootloader erases page by page; -D leaves out the erasure of all, which it can't do.
            where = ("-c", "arduino", "-p", part, "-P", port, "-b", baud)
            words = ["avrdude", "-q", *where, "-D", "-U", f"flash:w:{file}:i"]
            run_tool(self._device.name, words, _AVRDUDE_S, "`apt install avrdude`, or see github.com/avrdudes/avrdude")

    def reset(self) -> None:
        """Pull the reset pin, by DTR if there is no other way.

        Raises:
            LinkError: the port can't be opened.
        """
        if self._pin is not None:
            self._pin.restart()
        else:
            _pulse(self._device.name, self._find().path, self._device.kind.baud, self._device.serial)


class Command:
    """Runs the command of devices.yaml, without a shell."""

    def __init__(self, device: Device, spec: CommandFlasher, find: Callable[[], Port], uid: str) -> None:
        self._device = device
        self._spec = spec
        self._find = find
        self._uid = uid

    def flash(self, image: Image, progress: Callable[[float], None] | None = None) -> None:  # noqa: ARG002 - it doesn't say
        """Write an image.

        Raises:
            FlashError: the program is missing, failed or took too long; its last lines are in the message.
        """
        if any("{image}" in word for word in self._spec.command):
            _check_unchanged(self._device.name, image)
        with tempfile.TemporaryDirectory(prefix="hil-flash-") as folder:
            files = {"image": image.path.resolve(), "bin": Path(folder, "image.bin"), "hex": Path(folder, "image.hex")}
            files["bin"].write_bytes(binary(image, self._device.kind))
            files["hex"].write_text(intel_hex(image))
            self._run(self._spec.command, {name: str(path) for name, path in files.items()})

    def reset(self) -> None:
        """Run the reset command, or pulse DTR and RTS.

        Raises:
            FlashError, LinkError: that didn't work.
        """
        if self._spec.reset is not None:
            self._run(self._spec.reset, dict.fromkeys(("image", "bin", "hex"), ""))
            return
        _pulse(self._device.name, self._find().path, self._device.kind.baud, self._device.serial)

    def _run(self, words: Sequence[str], files: Mapping[str, str]) -> None:
        needs_port = any("{port}" in word for word in words)
        values = {**files, "port": self._find().path if needs_port else "", "uid": self._uid}
        run_tool(self._device.name, [word.format(**values) for word in words], self._spec.timeout_s)


def run_tool(
    board: str, command: Sequence[str], timeout: float, remedy: str = "devices.yaml names it as flasher"
) -> None:
    """Run a program that flashes or resets; `remedy` is what to say if it isn't there.

    Raises:
        FlashError: it is missing, failed or took too long; its last lines are in the message.
    """
    program = shutil.which(command[0])
    if program is None:
        raise FlashError(f"{board}: {command[0]} is not installed, or not on PATH; {remedy}")
    shown = " ".join(command)
    try:
        done = subprocess.run(  # noqa: S603 (the user's own command, without a shell)
            [program, *command[1:]],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
            timeout=timeout,
        )
    except subprocess.TimeoutExpired as error:
        said = _tail(error.stdout or b"")
        raise FlashError(f"{board}: `{shown}` had not ended after {timeout:g} s{said}") from error
    except OSError as error:
        raise FlashError(f"{board}: `{shown}` can't be run: {error}") from error
    if done.returncode != 0:
        raise FlashError(f"{board}: `{shown}` ended with code {done.returncode}{_tail(done.stdout)}")


def _check_unchanged(board: str, image: Image) -> None:
    """Refuse a file that was built anew while the harness had it open: the results would name the old one."""
    try:
        now = hashlib.sha256(image.path.read_bytes()).hexdigest()
    except OSError as error:
        raise FlashError(f"{board}: {image.path} can't be read: {error.strerror}") from error
    if now != image.sha256:
        raise FlashError(f"{board}: {image.path} has changed since it was read. Don't build it while it is measured")


def _tail(output: bytes) -> str:
    lines = [line.strip() for line in output.decode(errors="replace").splitlines() if line.strip()]
    return f". Its last lines: {' | '.join(lines[-_LINES_SHOWN:])}" if lines else ", and said nothing"


def _pulse(board: str, port: str, baud: int, lines: SerialLines) -> None:
    """Switch DTR and RTS over and back, which resets boards whose reset pin is wired to them.

    They begin and end as devices.yaml sets them, on where it says nothing.
    """
    dtr, rts = lines.dtr is not False, lines.rts is not False
    try:
        opened = serial.serial_for_url(port, baudrate=baud, do_not_open=True)
        opened.dtr, opened.rts = dtr, rts
        with opened:
            opened.dtr, opened.rts = not dtr, not rts
            time.sleep(_PULSE_S)
            opened.dtr, opened.rts = dtr, rts
    except (serial.SerialException, OSError) as error:
        raise LinkError(
            f"{board}: DTR and RTS of {port} can't be switched to reset it: {error}. Give a `reset` command"
        ) from error
