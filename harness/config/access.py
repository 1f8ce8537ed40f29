"""How a device of the lab is handled: its serial control lines and the USB hub that powers it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from harness.config.document import Model


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
