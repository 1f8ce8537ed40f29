"""How boards are shared: the `farm:` key in devices.yaml."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 (pydantic needs it)
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from harness.config.document import Model
from harness.config.health import HealthRules

Text = Annotated[str, Field(min_length=1)]


class LabgridOptions(Model):
    """How labgrid is reached.

    `coordinator` is its address (default: $LG_COORDINATOR, else 127.0.0.1:20408), `client` the program that is run; it
    may live in a virtual environment of its own, because labgrid and pyserial don't go together in one.
    """

    coordinator: Annotated[str, Field(pattern=r"^\S+:[0-9]{1,5}$")] | None = None
    client: Text = "labgrid-client"


class ReservationLimits(Model):
    """What one person may reserve, so that all get their share.

    `max_hours` is the length of one reservation, `max_per_user` how many of them somebody may have that aren't over,
    `max_days_ahead` how far off one may begin. A board that its owner hasn't used `no_show_min` minutes after the
    beginning is free for others again; 0 keeps it for them.
    """

    max_hours: Annotated[float, Field(gt=0, le=8784)] = 8.0
    max_per_user: Annotated[int, Field(ge=1)] = 2
    max_days_ahead: Annotated[float, Field(gt=0, le=3660)] = 14.0
    no_show_min: Annotated[int, Field(ge=0, le=527040)] = 30


class Farm(Model):
    """How the boards of this lab are shared between people, processes and hosts.

    Attributes:
        scheduler: address of the Dask scheduler that the workers of several hosts connect to (`tls://lab:8786`); None
            for one of this host alone.
        certificates: a folder with `ca.pem`, `cert.pem` and `key.pem`, for connections to other hosts.
        calendar: an iCalendar file, or the URL of one, whose events reserve boards; None for the state folder's own.
        state: a folder for health, reservations and nights, shared by the hosts of a farm; None for this user's own.
        store: where finished runs are copied to, a folder or an fsspec URL; None leaves them where they are.
        site: a folder for the pages that show boards and nights, renewed by each night; None writes none.
        labgrid: how labgrid is reached, for the devices that have a place in it.
        health: from when on a board is taken out of use.
    """

    engine: Literal["local", "labgrid"] = "local"
    scheduler: Text | None = None
    certificates: Path | None = None
    calendar: Text | None = None
    state: Path | None = None
    store: Text | None = None
    site: Path | None = None
    labgrid: LabgridOptions = LabgridOptions()
    reservations: ReservationLimits = ReservationLimits()
    health: HealthRules = HealthRules()

    @model_validator(mode="before")
    @classmethod
    def _named(cls, data: Any) -> Any:
        """`farm: labgrid` is short for `farm: {engine: labgrid}`."""
        return {"engine": data} if isinstance(data, str) else data
