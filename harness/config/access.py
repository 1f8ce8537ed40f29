"""How a device of the lab is handled: what flashes it, its serial control lines, the USB hub that powers it."""

from __future__ import annotations

import shlex
from typing import Annotated, Literal

from pydantic import Field, field_validator

from harness.config.document import Model

#: What the arguments of a flash command may refer to.
PLACEHOLDERS = ("image", "bin", "hex", "port", "uid")


class SerialLines(Model):
    """What DTR and RTS are set to when the port is opened; None leaves a line as the system sets it."""

    dtr: bool | None = None
    rts: bool | None = None


class UsbHub(Model):
    """A hub port as uhubctl names it."""

    location: Annotated[str, Field(pattern=r"^[0-9]+(-[0-9]+(\.[0-9]+)*)?$")]
    port: Annotated[int, Field(ge=1, le=255)]


class PowerCycle(Model):
    """How to take a board's power away and give it back."""

    uhubctl: UsbHub


class CommandFlasher(Model):
    """Any program that flashes, as a list of arguments or one string that is split as a shell would.

    `{image}` stands for the ELF file, `{bin}` and `{hex}` for files made from it, `{port}` and `{uid}` for the serial
    port and the probe. `reset` is a program that resets the board; without one DTR and RTS are pulsed.
    """

    command: Annotated[tuple[str, ...], Field(min_length=1)]
    reset: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    timeout_s: Annotated[float, Field(gt=0, le=3600)] = 60.0

    @field_validator("command", "reset", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(shlex.split(value)) if isinstance(value, str) else value

    @field_validator("command", "reset")
    @classmethod
    def _check_placeholders(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for word in value or ():
            try:
                word.format(**dict.fromkeys(PLACEHOLDERS, ""))
            except (KeyError, IndexError, ValueError) as error:
                known = ", ".join(f"{{{name}}}" for name in PLACEHOLDERS)
                raise ValueError(
                    f"{word!r} has a placeholder that isn't one of {known}; write {{{{ for a brace"
                ) from error
        return value


#: What carries inputs and outputs: the UART's pins, the board's own USB, or the debug probe.
LinkKind = Literal["uart", "usb", "probe"]
#: What writes a board's flash through its port and a bootloader of Arduino's, without a debug probe: `arduino` that of
#: a Nano 33 over its own USB, `avrdude` that of an Uno.
PortFlasher = Literal["arduino", "avrdude"]
#: What writes a board's flash: a debug probe, a bootloader of Arduino's, or any program.
Flasher = Literal["pyocd"] | PortFlasher | CommandFlasher
